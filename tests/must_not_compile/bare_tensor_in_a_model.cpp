// expect: a Tensor in a model is an nn::Parameter (trained) or an nn::Buffer (saved only)
#include "nn/module.h"

using namespace gradus;

struct Scale {
  Tensor factor;
  static auto fields(auto& self) { return named("factor", self.factor); }
};

int main() {
  Scale scale{ones({3})};
  nn::parameters(scale);
}
