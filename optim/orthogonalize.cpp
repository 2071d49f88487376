#include "optim/orthogonalize.h"

#include "core/autograd.h"
#include "core/linalg.h"
#include "core/ops.h"
#include "optim/vector.h"

#include <cmath>
#include <span>
#include <vector>

namespace gradus::optim {
namespace {

using linalg::Quintic;

constexpr Quintic kJordan[] = {{3.4445, -4.7750, 2.0315}};
constexpr Quintic kModula[] = {{3, -3.2, 1.2}};
constexpr Quintic kClassic[] = {{15.0 / 8, -10.0 / 8, 3.0 / 8}};
constexpr Quintic kCubic[] = {{1.5, -0.5, 0}};
constexpr Quintic kYou[] = {
    {3955 / 1024.0, -8306 / 1024.0, 5008 / 1024.0}, {3735 / 1024.0, -6681 / 1024.0, 3463 / 1024.0},
    {3799 / 1024.0, -6499 / 1024.0, 3211 / 1024.0}, {4019 / 1024.0, -6385 / 1024.0, 2906 / 1024.0},
    {2677 / 1024.0, -3029 / 1024.0, 1162 / 1024.0}, {2172 / 1024.0, -1833 / 1024.0, 682 / 1024.0}};
constexpr Quintic kSpeedrun[] = {{8.156554524902461, -22.48329292557795, 15.878769915207462},
                                 {4.042929935166739, -2.808917465908714, 0.5000178451051316},
                                 {3.8916678022926607, -2.772484153217685, 0.5060648178503393},
                                 {3.285753657755655, -2.3681294933425376, 0.46449024233003106},
                                 {2.3465413258596377, -1.7097828382687081, 0.42323551169305323}};

/// The published coefficients, for arguments divided by the safety factor 1.01 in all but the last step.
constexpr double kSafety = 1.01;
constexpr Quintic safe(Quintic q) {
  return {q[0] / kSafety, q[1] / (kSafety * kSafety * kSafety),
          q[2] / (kSafety * kSafety * kSafety * kSafety * kSafety)};
}
constexpr Quintic kPolarExpress[] = {safe({8.28721201814563, -23.595886519098837, 17.300387312530933}),
                                     safe({4.107059111542203, -2.9478499167379106, 0.5448431082926601}),
                                     safe({3.9486908534822946, -2.908902115962949, 0.5518191394370137}),
                                     safe({3.3184196573706015, -2.488488024314874, 0.51004894012372}),
                                     safe({2.300652019954817, -1.6689039845747493, 0.4188073119525673}),
                                     safe({1.891301407787398, -1.2679958271945868, 0.37680408948524835}),
                                     safe({1.8750014808534479, -1.2500016453999487, 0.3750001645474248}),
                                     {1.875, -1.25, 0.375}};

struct Recipe {
  std::span<const Quintic> steps;
  double safety = 1;  // the norm is multiplied by it
};

Recipe recipe_of(Orthogonalization method) {
  switch (method) {
    case Orthogonalization::jordan: return {kJordan};
    case Orthogonalization::polar_express: return {kPolarExpress, kSafety};
    case Orthogonalization::you: return {kYou};
    case Orthogonalization::speedrun: return {kSpeedrun, 1.02};
    case Orthogonalization::modula: return {kModula};
    case Orthogonalization::classic: return {kClassic};
    case Orthogonalization::cubic: return {kCubic};
    case Orthogonalization::svd: break;
  }
  return {};
}

}  // namespace

Tensor orthogonalize(const Tensor& x, Orthogonalization method, Index steps, double eps) {
  const NoGrad no_grad;
  if (x.numel() == 0) return clone(x);
  if (method == Orthogonalization::svd) return linalg::polar(x);
  const Recipe recipe = recipe_of(method);
  std::vector<Quintic> sequence;
  for (Index step = 0; step < steps; ++step)
    sequence.push_back(recipe.steps[std::min(static_cast<std::size_t>(step), recipe.steps.size() - 1)]);
  const Tensor dense = contiguous(x);
  const double norm = std::sqrt(squared_norm(dense));
  return linalg::apply_quintics(dense * (1 / (norm * recipe.safety + eps)), sequence);
}

}  // namespace gradus::optim
