#include "optim/finite_sum.h"

#include "core/ops.h"
#include "core/random.h"

namespace gradus::optim {
namespace {

int pick_term(Index seed, Index step, Index terms) {
  Rng rng = Rng(static_cast<std::uint64_t>(seed)).split(static_cast<std::uint64_t>(step));
  return static_cast<int>(rng.below(static_cast<std::uint64_t>(terms)));
}

void check_terms(OptionCheck& is, Index terms, Index seed) {
  is.between("terms", static_cast<double>(terms), 1, 1e6);
  is.at_least("seed", static_cast<double>(seed), 0);
}

}  // namespace

void SVRGOptions::check(OptionCheck& is) const {
  check_terms(is, terms, seed);
  is.at_least("inner_steps", static_cast<double>(inner_steps), 0);
}

double SVRG::do_closure_step(const Closure& closure) {
  const SVRGOptions& o = own_options();
  const NoGrad no_grad;
  const Index interval = o.inner_steps > 0 ? o.inner_steps : 2 * o.terms;
  if (steps() % interval == 0) {
    Tensors full(count());
    for (Index term = 0; term < o.terms; ++term) {
      evaluate(closure, static_cast<int>(term));
      for (std::size_t i = 0; i < count(); ++i)
        if (const Tensor g = weight(i).grad()) full[i] = full[i] ? full[i] + g : g;
    }
    for (std::size_t i = 0; i < count(); ++i)
      if (full[i]) slots(i) = {slot_copy(weight(i).detach()), slot_copy(full[i] * (1 / static_cast<double>(o.terms)))};
  }

  const int term = pick_term(o.seed, steps(), o.terms);
  Tensors here;  // weights
  for (std::size_t i = 0; i < count(); ++i) {
    here.push_back(clone(weight(i).detach()));
    if (slot(i)) weight(i).copy_(slot(i));
  }
  evaluate(closure, term);
  Tensors at_snapshot;
  for (std::size_t i = 0; i < count(); ++i) {
    at_snapshot.push_back(weight(i).grad());
    weight(i).copy_(here[i]);
  }
  const double loss = evaluate(closure, term);
  for (std::size_t i = 0; i < count(); ++i)
    if (const Tensor g = weight(i).grad(); g && at_snapshot[i] && !slots(i).empty())
      weight(i).set_grad(g - at_snapshot[i] + slots(i)[1]);
  step_base();
  return loss;
}

void SAGAOptions::check(OptionCheck& is) const { check_terms(is, terms, seed); }

double SAGA::do_closure_step(const Closure& closure) {
  const SAGAOptions& o = own_options();
  const NoGrad no_grad;
  const auto terms = static_cast<std::size_t>(o.terms);
  const double share = 1 / static_cast<double>(o.terms);
  if (steps() == 0) {
    std::vector<Tensors> kept(count());
    for (std::size_t term = 0; term < terms; ++term) {
      evaluate(closure, static_cast<int>(term));
      for (std::size_t i = 0; i < count(); ++i)
        if (const Tensor g = weight(i).grad()) kept[i].push_back(slot_copy(g));
    }
    for (std::size_t i = 0; i < count(); ++i) {
      if (kept[i].empty()) continue;
      GRADUS_CHECK(kept[i].size() == terms, "saga: only some terms have a gradient for \"" + parameters()[i].name +
                                                "\"\n  needs one from every term, or from none");
      Tensor mean = kept[i][0] * share;
      for (std::size_t term = 1; term < terms; ++term) mean = mean + kept[i][term] * share;
      slots(i) = {slot_copy(mean)};
      for (const Tensor& g : kept[i]) slots(i).push_back(g);
    }
  }

  const int term = pick_term(o.seed, steps(), o.terms);
  const double loss = evaluate(closure, term);
  for (std::size_t i = 0; i < count(); ++i) {
    const Tensor g = weight(i).grad();
    if (!g || slots(i).empty()) continue;
    Tensor &mean = slots(i)[0], &kept = slots(i)[static_cast<std::size_t>(term) + 1];
    const Tensor change = g - kept;
    weight(i).set_grad(change + mean);
    mean.copy_(mean + change * share);
    kept.copy_(g);
  }
  step_base();
  return loss;
}

}  // namespace gradus::optim
