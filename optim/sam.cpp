#include "optim/sam.h"

#include "core/ops.h"
#include "optim/clip.h"
#include "optim/vector.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace gradus::optim {
namespace {

/// e for one tensor, given a function from a gradient entry (and its weight) to the entry of e.
template <class Entry>
Tensor map_gradient(const Tensor& weight, const Tensor& grad, const Entry& entry) {
  Tensor e = empty(grad.shape(), grad.dtype());
  sweep([&]<class T>(T) { return [&entry](T& out, T w, T g) { out = static_cast<T>(entry(double(w), double(g))); }; },
        e, weight, grad);
  return e;
}

double sign_of(double x) { return x > 0 ? 1 : (x < 0 ? -1 : 0); }

/// Moves each parameter by its perturbation and puts the old values back at the end of the scope.
class Perturbed {
 public:
  Perturbed(const NamedTensors& parameters, const Tensors& perturbation) : parameters_(parameters) {
    const NoGrad no_grad;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      Tensor weight = parameters[i].tensor;
      before_.push_back(perturbation[i] ? clone(weight.detach()) : Tensor());
      if (perturbation[i]) weight.copy_(weight + perturbation[i]);
    }
  }
  ~Perturbed() {
    const NoGrad no_grad;
    for (std::size_t i = 0; i < before_.size(); ++i) {
      Tensor weight = parameters_[i].tensor;
      if (before_[i]) weight.copy_(before_[i]);
    }
  }
  Perturbed(const Perturbed&) = delete;
  Perturbed& operator=(const Perturbed&) = delete;

 private:
  const NamedTensors& parameters_;
  Tensors before_;
};

}  // namespace

void SAMOptions::check(OptionCheck& is) const {
  is.at_least("rho", rho, 0);
  is.that(p >= 1, "p needs to be at least 1, or inf; it is " + to_text(p));
  is.that(adaptive == SamScale::none || p == 2, "adaptive perturbations need p = 2");
  is.at_least("eta", eta, 0);
}

Tensors sam_perturbation(const NamedTensors& parameters, const SAMOptions& o) {
  const NoGrad no_grad;
  // T of ASAM for one entry; 1 for SAM.
  const auto scale_of = [&](const NamedTensor& parameter) {
    const bool named_weight = parameter.name.find("weight") != std::string::npos;
    const bool scaled = o.adaptive == SamScale::absolute || (o.adaptive == SamScale::weight && named_weight);
    const double shift = o.adaptive == SamScale::weight ? o.eta : 0;
    return [scaled, shift](double w) { return scaled ? std::abs(w) + shift : 1.0; };
  };

  Tensors result(parameters.size());
  if (o.p == 1) {  // all of rho on the largest entry
    std::size_t where = parameters.size();
    Index at = 0;
    double largest = 0;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const Tensor grad = parameters[i].tensor.grad();
      if (!grad) continue;
      const std::vector<double> values = grad.to_vector();
      for (std::size_t j = 0; j < values.size(); ++j)
        if (std::abs(values[j]) > std::abs(largest)) {
          largest = values[j];
          where = i;
          at = static_cast<Index>(j);
        }
    }
    if (where == parameters.size()) return result;
    Tensor e = zeros_like(parameters[where].tensor);
    if (e.dtype() == DType::f32) {
      e.mutable_data<float>()[static_cast<std::size_t>(at)] = static_cast<float>(o.rho * sign_of(largest));
    } else {
      e.mutable_data<double>()[static_cast<std::size_t>(at)] = o.rho * sign_of(largest);
    }
    result[where] = e;
    return result;
  }

  const double q = std::isinf(o.p) ? 1 : o.p / (o.p - 1);
  double total = 0;  // sum of |T g|^q
  for (const NamedTensor& parameter : parameters) {
    const Tensor grad = parameter.tensor.grad();
    if (!grad) continue;
    if (o.adaptive == SamScale::none) {
      total += q == 2 ? squared_norm(grad) : (q == 1 ? 0 : power_sum(grad, q));
    } else {
      const auto scale = scale_of(parameter);
      total += squared_norm(map_gradient(parameter.tensor, grad, [&](double w, double g) { return scale(w) * g; }));
    }
  }
  // ||Tg||_2 plus the guard of the respective code, or (sum |g|^q)^(1/p).
  const double guard = o.adaptive == SamScale::weight ? 1e-16 : 1e-12;
  const double length = q == 1 ? 1 : (q == 2 ? std::sqrt(total) : std::pow(total, 1 / o.p)) + guard;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Tensor grad = parameters[i].tensor.grad();
    if (!grad) continue;
    const auto scale = scale_of(parameters[i]);
    result[i] = map_gradient(parameters[i].tensor, grad, [&](double w, double g) {
      const double t = scale(w);
      const double shaped = q == 2 ? g : (q == 1 ? sign_of(g) : sign_of(g) * std::pow(std::abs(g), q - 1));
      return o.rho * t * t * shaped / length;
    });
  }
  return result;
}

double SAM::do_closure_step(const Closure& closure) {
  const double loss = evaluate(closure, 0);
  const Tensors perturbation = sam_perturbation(parameters(), own_options());
  {
    const Perturbed moved(parameters(), perturbation);
    evaluate(closure, 1);
  }
  step_base();
  return loss;
}

void LookSAMOptions::check(OptionCheck& is) const {
  is.at_least("rho", rho, 0);
  is.at_least("k", static_cast<double>(k), 1);
  is.at_least("alpha", alpha, 0);
}

double LookSAM::do_closure_step(const Closure& closure) {
  const LookSAMOptions& o = own_options();
  const bool full = steps() % o.k == 0;
  const double loss = evaluate(closure, 0);
  Tensors plain;
  for (std::size_t i = 0; i < count(); ++i) plain.push_back(weight(i).grad());
  const double plain_norm = grad_norm(parameters());

  if (full) {
    {
      const Perturbed moved(parameters(), sam_perturbation(parameters(), {.rho = o.rho}));
      evaluate(closure, 1);
    }
    const NoGrad no_grad;
    double inner = 0;  // <g_s, g>
    for (std::size_t i = 0; i < count(); ++i)
      if (plain[i] && weight(i).grad()) inner += dot(plain[i], weight(i).grad());
    const double along = plain_norm > 0 ? inner / (plain_norm * plain_norm) : 0;
    for (std::size_t i = 0; i < count(); ++i)
      if (plain[i] && weight(i).grad()) slots(i) = {slot_copy(weight(i).grad() - plain[i] * along)};
  } else {
    const NoGrad no_grad;
    double squares = 0;
    for (std::size_t i = 0; i < count(); ++i)
      if (slot(i)) squares += squared_norm(slot(i));
    const double factor = squares > 0 ? o.alpha * plain_norm / std::sqrt(squares) : 0;
    for (std::size_t i = 0; i < count(); ++i)
      if (plain[i] && slot(i)) weight(i).set_grad(plain[i] + slot(i) * factor);
  }
  step_base();
  return loss;
}

}  // namespace gradus::optim
