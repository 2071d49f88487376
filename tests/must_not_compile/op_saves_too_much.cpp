// expect: more tensors than the op's kSaved
#include "core/autograd.h"
#include "core/ops.h"

using namespace gradus;

struct Product {
  static constexpr std::string_view kName = "product";
  static constexpr int kSaved = 1;
  Tensor forward(Saver<1>& save, const Tensor& a, const Tensor& b) {
    save(a, b);
    return a * b;
  }
  Grads<2> vjp(const Saved<1>& saved, const Tensor& dy, Needs<2>) const { return {dy * saved[0], dy}; }
};

Tensor product(const Tensor& a, const Tensor& b) { return apply(Product{}, a, b); }
