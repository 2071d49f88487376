// Schedules against PyTorch's values, and clipping.
#include "optim/schedule.h"

#include "core/ops.h"
#include "optim/clip.h"

#include <catch2/catch.hpp>

#include <cmath>

namespace gradus {
namespace {

using Catch::Matchers::Contains;
using namespace optim;

void follows(const Schedule& schedule, const std::vector<double>& expected, double margin = 5e-9) {
  for (std::size_t s = 0; s < expected.size(); ++s) {
    INFO("step " << s);
    CHECK(schedule(static_cast<Index>(s)) == Approx(expected[s]).margin(margin));
  }
}

TEST_CASE("schedules give PyTorch's values") {
  const std::vector<double> half_cosine = {1,         .97797543, .91405765, .81450336, .68905765, .55,
                                           .41094235, .28549664, .18594235, .12202457, .1};
  follows(cosine(10, .1), half_cosine);
  CHECK(cosine(10, .1)(11) == Approx(.1));
  CHECK(cosine(10, .1, /*rises_again=*/true)(11) == Approx(.12202457));
  follows(cosine_restarts(4, 2),
          {1, .85355339, .5, .14644661, 1, .96193977, .85355339, .69134172, .5, .30865828, .14644661, .03806023, 1});
  follows(one_cycle(10), {.04, .52, 1, .95048463, .81174565, .61126202, .38874198, .18825835, .04951937, 4e-6});
  follows(one_cycle_momentum(10),
          {.95, .9, .85, .85495156, .86882551, .88887395, .91112605, .93117449, .94504844, .95});
  follows(linear(1.0 / 3, 1, 5), {.33333333, .46666667, .6, .73333333, .86666667, 1, 1});
  follows(polynomial(5, 2), {1, .64, .36, .16, .04, 0, 0});
  follows(step_decay(2, .5), {1, 1, .5, .5, .25});
  follows(multistep({1, 3}, .1), {1, .1, .1, .01});
  follows(exponential(.9), {1, .9, .81});
  follows(cooldown(4, .1, Decay::cosine), {1, .86819805, .55, .23180195, .1});  // SWALR
}

TEST_CASE("warm-up, WSD and inverse square root") {
  follows(warmup(4), {.25, .5, .75, 1, 1});
  follows(warmup(4, /*from_zero=*/true), {0, .25, .5, .75, 1, 1});
  follows(warmup(0), {1, 1});
  follows(wsd(10, 2, .4), {.5, 1, 1, 1, 1, 1, 1, .75, .5, .25, 0, 0});
  follows(wsd(10, 0, .5, .2, Decay::one_minus_sqrt), {1, 1, 1, 1, 1, 1, 1 - .8 * std::sqrt(.2)});
  follows(inverse_sqrt(4), {.25, .5, .75, 1, std::sqrt(.8)});
  follows(warmup(2) * constant(3), {1.5, 3});
  follows(then(warmup(2), 2, polynomial(2)), {.5, 1, 1, .5, 0});
  follows(make_schedule("cosine", 12, 2), {.5, 1, 1, cosine(10)(1)});
  CHECK_THROWS_WITH(make_schedule("cosin", 10, 0), Contains("valid: constant") && Contains("did you mean cosine?"));
  CHECK_THROWS_WITH(cosine(0), Contains("needs at least 1"));
}

TEST_CASE("a plateau lowers the rate after its patience") {
  Plateau plateau{.factor = .5, .patience = 1};
  CHECK(plateau(1.0) == 1);
  CHECK(plateau(1.0) == 1);   // bad, forgiven
  CHECK(plateau(1.0) == .5);  // bad again
  CHECK(plateau(0.5) == .5);
}

NamedTensors with_gradients() {
  Tensor a = zeros({2}), b = zeros({3});
  a.requires_grad_();
  b.requires_grad_();
  a.set_grad(tensor({3, 0}));
  b.set_grad(tensor({0, 4, 0}));
  return {{"a", a}, {"b", b}};
}

TEST_CASE("clip_grad_norm scales all gradients as one vector and returns the norm before") {
  const NamedTensors parameters = with_gradients();
  const Tensor held = parameters[1].tensor.grad();
  CHECK(clip_grad_norm(parameters, 2.5) == Approx(5));
  CHECK(parameters[0].tensor.grad().to_vector()[0] == Approx(1.5));
  CHECK(parameters[1].tensor.grad().to_vector()[1] == Approx(2));
  CHECK(held.to_vector()[1] == 4);  // a handle from before sees no change
  CHECK(parameters[0].tensor.grad().tag() == MemTag::gradient);
  CHECK(clip_grad_norm(parameters, 100) == Approx(2.5));
  CHECK(parameters[1].tensor.grad().to_vector()[1] == Approx(2));
}

TEST_CASE("clip_grad_norm knows other norms and leaves what is not finite alone") {
  CHECK(grad_norm(with_gradients(), 1) == Approx(7));
  CHECK(grad_norm(with_gradients(), std::numeric_limits<double>::infinity()) == 4);
  CHECK(grad_norm(with_gradients(), 3) == Approx(std::cbrt(27.0 + 64)));
  const NamedTensors parameters = with_gradients();
  parameters[0].tensor.set_grad(tensor({NAN, 1}));
  CHECK(std::isnan(clip_grad_norm(parameters, 1)));
  CHECK(parameters[1].tensor.grad().to_vector()[1] == 4);
  CHECK_THROWS_WITH(clip_grad_norm(parameters, 0), Contains("needs max_norm > 0"));
}

TEST_CASE("clip_grad_value limits every entry") {
  const NamedTensors parameters = with_gradients();
  clip_grad_value(parameters, 3.5);
  CHECK(parameters[0].tensor.grad().to_vector()[0] == 3);
  CHECK(parameters[1].tensor.grad().to_vector()[1] == 3.5f);
}

}  // namespace
}  // namespace gradus
