// Orthogonalization: from a matrix U S V^T to nearly U V^T, by products alone.
#pragma once

#include "core/tensor.h"

#include <array>
#include <string_view>

namespace gradus::optim {

/// Published polynomials for the singular values, and the exact answer.
enum class Orthogonalization {
  jordan,  // one quintic with a steep start; ends in about [0.68, 1.13], never at 1 (Jordan et al., "Muon", 2024)
  polar_express,  // the best quintic for each step (Amsel et al. 2025, algorithm 1)
  you,            // six different quintics (You Jiacheng 2024; used by Modula)
  speedrun,       // five steps of the Polar Express kind with more safety (modded-nanogpt, 2025)
  modula,         // (3, -16/5, 6/5): converges to 1 (Bernstein, Modula documentation)
  classic,        // (15, -10, 3) / 8: converges to 1, cubic order
  cubic,          // Newton-Schulz, (3, -1) / 2 (Bernstein and Newhouse 2024, eq. 15)
  svd,            // exactly U V^T
};
constexpr std::array<std::string_view, 8> names_of(Orthogonalization) {
  return {"jordan", "polar_express", "you", "speedrun", "modula", "classic", "cubic", "svd"};
}

/// Scales x, a matrix, to a norm of at most 1 and takes `steps` steps; where a list of steps is shorter, its last one
/// repeats (jordan, modula, classic, cubic: the only one). Zero stays zero. `eps` guards the division by the norm.
Tensor orthogonalize(const Tensor& x, Orthogonalization method, Index steps, double eps = 1e-7);

}  // namespace gradus::optim
