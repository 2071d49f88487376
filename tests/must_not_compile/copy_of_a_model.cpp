// expect: use of deleted function
// Two models never share weights by accident: a model is moved, not copied.
#include "nn/module.h"

using namespace gradus;

struct Scale {
  nn::Parameter factor;
  static auto fields(auto& self) { return named("factor", self.factor); }
};

int main() {
  Scale a{nn::Parameter(ones({3}))};
  Scale b = a;
}
