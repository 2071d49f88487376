#include "optim/muon.h"

#include <algorithm>

namespace gradus::optim {

void MuonOptions::check(OptionCheck& is) const {
  is.at_least("lr", lr, 0);
  is.fraction("momentum", momentum);
  is.that(!nesterov || momentum > 0, "nesterov = true needs momentum > 0");
  is.at_least("weight_decay", weight_decay, 0);
  is.between("ns_steps", static_cast<double>(ns_steps), 1, 100);
  is.at_least("eps", eps, 0);
}

double muon_scale(MuonScaling scaling, Index rows, Index columns) {
  const double m = static_cast<double>(rows), n = static_cast<double>(columns);
  switch (scaling) {
    case MuonScaling::original: return std::sqrt(std::max(1.0, m / n));
    case MuonScaling::match_rms_adamw: return 0.2 * std::sqrt(std::max(m, n));
    case MuonScaling::rms_to_rms: return std::sqrt(m / n);
    case MuonScaling::none: break;
  }
  return 1;
}

void Muon::update(const MuonOptions& o, Item& item) {
  if (item.parameter.numel() == 0) return;
  Tensor direction = empty(item.parameter.shape(), item.parameter.dtype());
  sweep(
      [&]<class T>(T) {
        const T beta = T(o.momentum);
        const T grad_share = T(o.nesterov ? 1 - o.momentum : 0), momentum_share = T(o.nesterov ? o.momentum : 1);
        return [=](T& u, T grad, T& m) {
          m += (1 - beta) * (grad - m);
          u = grad_share * grad + momentum_share * m;
        };
      },
      direction, item.grad, item.slots[0]);

  const Tensor matrix = as_matrix(direction);
  const Tensor orthogonal = orthogonalize(matrix, o.orthogonalization, o.ns_steps, o.eps);
  const double scale = muon_scale(o.scaling, matrix.size(0), matrix.size(1));
  sweep(
      [&]<class T>(T) {
        const T keep = T(1 - o.lr * o.weight_decay), step = T(o.lr * scale);
        return [=](T& weight, T u) { weight = keep * weight - step * u; };
      },
      item.parameter, orthogonal);
}

}  // namespace gradus::optim
