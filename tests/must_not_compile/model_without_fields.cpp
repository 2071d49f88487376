// expect: this struct may hold parameters
// A model that lists no fields would train nothing and save nothing.
#include "nn/linear.h"

struct Model {
  gradus::nn::Linear layer;
};

auto parameters(const Model& model) { return gradus::nn::parameters(model); }
