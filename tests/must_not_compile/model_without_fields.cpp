// expect: this struct may hold parameters: give it `static auto fields(auto& self)
// A forgotten field list is an error, not a model without parameters.
#include "nn/module.h"

using namespace gradus;

struct Scale {
  nn::Parameter factor;
};

int main() {
  Scale scale{nn::Parameter(ones({3}))};
  nn::parameters(scale);
}
