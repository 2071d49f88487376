// What the engine adds to each op: a chain of 1,000 products of 16 floats with one leaf, so little arithmetic that the
// bookkeeping is what one sees.
#include "bench/works.h"
#include "core/autograd.h"
#include "core/ops.h"

namespace gradus::bench {
namespace {

constexpr int kOps = 1000;

Tensor chain(const Tensor& leaf) {
  Tensor y = leaf;
  for (int i = 0; i < kOps; ++i) y = mul(y, leaf);
  return y;
}

}  // namespace

Json dispatch(const Options& options) {
  const Tensor leaf = ones({16}).requires_grad_();
  const Tensor gradient = ones({16});
  Stopwatch whole(options.seconds), forward(0), backward_pass(0), plain(0);
  while (whole.running()) {
    auto start = Clock::now();
    const Tensor y = chain(leaf);
    const double first = seconds_since(start);
    start = Clock::now();
    backward(y, gradient);
    const double second = seconds_since(start);
    leaf.set_grad({});
    whole.add(first + second);
    forward.add(first);
    backward_pass.add(second);

    const NoGrad none;
    start = Clock::now();
    chain(leaf);
    plain.add(seconds_since(start));
  }
  Json json = report("ops", kOps, whole.timing());
  const double ns = 1e9 / kOps;
  json["forward_ns"] = forward.timing().median * ns;
  json["backward_ns"] = backward_pass.timing().median * ns;
  json["no_grad_ns"] = plain.timing().median * ns;
  json["best_forward_ns"] = forward.timing().best * ns;
  json["best_backward_ns"] = backward_pass.timing().best * ns;
  json["best_no_grad_ns"] = plain.timing().best * ns;
  return json;
}

}  // namespace gradus::bench
