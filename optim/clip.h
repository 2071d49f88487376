// Gradient clipping: called between backward() and step().
#pragma once

#include "core/named.h"

#include <limits>

namespace gradus::optim {

/// Scales all gradients so that their norm, taken as one vector, is at most max_norm, and returns the norm before.
/// p >= 1, infinity allowed. The factor is max_norm / (norm + 1e-6), as in PyTorch. A norm that is not finite leaves
/// the gradients alone: check the result. Handles that others hold on a gradient keep its old values.
double clip_grad_norm(const NamedTensors& parameters, double max_norm, double p = 2);

/// Limits every gradient entry to [-value, value].
void clip_grad_value(const NamedTensors& parameters, double value);

/// The norm of all gradients, taken as one vector: clip_grad_norm without clipping.
double grad_norm(const NamedTensors& parameters, double p = 2);

}  // namespace gradus::optim
