// The catalogue of differentiable functions. Families live in core/ops/*.cpp, one struct an op.
//
// Unless said otherwise: operands share one dtype (convert with `to`), shapes broadcast by NumPy's rule, results are
// new tensors, `axes` empty means all axes, negative axes count from the back. Wrong input throws Error.
#pragma once

#include "core/autograd.h"
#include "core/random.h"
#include "core/tensor.h"

#include <limits>
#include <optional>
#include <span>

namespace gradus {

// --- elementwise, two operands
// -----------------------------------------------------------------------------------------
Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
/// a to the power b. The gradient for b takes log(a) as 0 where a is 0.
Tensor pow(const Tensor& a, const Tensor& b);
Tensor pow(const Tensor& a, double exponent);
/// The larger one; equal operands share the gradient in halves.
Tensor maximum(const Tensor& a, const Tensor& b);
Tensor minimum(const Tensor& a, const Tensor& b);

Tensor operator+(const Tensor& a, const Tensor& b);
Tensor operator-(const Tensor& a, const Tensor& b);
Tensor operator*(const Tensor& a, const Tensor& b);
Tensor operator/(const Tensor& a, const Tensor& b);
Tensor operator+(const Tensor& a, double b);
Tensor operator-(const Tensor& a, double b);
Tensor operator*(const Tensor& a, double b);
Tensor operator/(const Tensor& a, double b);
Tensor operator+(double a, const Tensor& b);
Tensor operator-(double a, const Tensor& b);
Tensor operator*(double a, const Tensor& b);
Tensor operator/(double a, const Tensor& b);
Tensor operator-(const Tensor& x);

/// 1 where the relation holds, else 0, in the dtype of the operands. Not differentiable.
Tensor equal(const Tensor& a, const Tensor& b);
Tensor not_equal(const Tensor& a, const Tensor& b);
Tensor less(const Tensor& a, const Tensor& b);
Tensor less_equal(const Tensor& a, const Tensor& b);
Tensor greater(const Tensor& a, const Tensor& b);
Tensor greater_equal(const Tensor& a, const Tensor& b);
/// a where condition is not 0, else b. `condition` may have any dtype.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);

// --- elementwise, one operand
// ------------------------------------------------------------------------------------------
Tensor neg(const Tensor& x);
Tensor abs(const Tensor& x);   // gradient 0 at 0
Tensor sign(const Tensor& x);  // sign(0) = 0
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor rsqrt(const Tensor& x);
Tensor square(const Tensor& x);
Tensor reciprocal(const Tensor& x);
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor erf(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);
/// max(x, 0); gradient 0 at 0.
Tensor relu(const Tensor& x);
Tensor leaky_relu(const Tensor& x, double negative_slope = 0.01);
enum class Gelu { exact, tanh };
/// x Phi(x), exactly or by the tanh formula (Hendrycks and Gimpel, "Gaussian Error Linear Units", section 2).
Tensor gelu(const Tensor& x, Gelu approximation = Gelu::exact);
/// x sigmoid(x).
Tensor silu(const Tensor& x);
/// log(1 + exp(x)), without overflow.
Tensor softplus(const Tensor& x);
/// Limits values to [low, high]; the gradient passes inside and on the bounds.
Tensor clamp(const Tensor& x, double low, double high);
/// scale * x + shift.
Tensor affine(const Tensor& x, double scale, double shift);
/// Converts the dtype; gradients are converted back. Returns x itself when nothing changes.
Tensor to(const Tensor& x, DType dtype);

// --- reductions
// --------------------------------------------------------------------------------------------------------
Tensor sum(const Tensor& x, const Axes& axes = {}, bool keepdim = false);
Tensor mean(const Tensor& x, const Axes& axes = {}, bool keepdim = false);
/// Variance; divides by n - correction (1: sample variance, 0: population).
Tensor var(const Tensor& x, const Axes& axes = {}, int correction = 1, bool keepdim = false);
/// Largest value; equal ones share the gradient evenly.
Tensor max(const Tensor& x, const Axes& axes = {}, bool keepdim = false);
Tensor min(const Tensor& x, const Axes& axes = {}, bool keepdim = false);
/// i64 position of the first largest (smallest) value along one axis. Not differentiable.
Tensor argmax(const Tensor& x, int axis = -1, bool keepdim = false);
Tensor argmin(const Tensor& x, int axis = -1, bool keepdim = false);
Tensor logsumexp(const Tensor& x, const Axes& axes = {}, bool keepdim = false);
/// (sum |x|^p)^(1/p) for p >= 1; p = infinity gives the largest |x|. The gradient of the 2-norm at 0 is 0.
Tensor norm(const Tensor& x, double p = 2, const Axes& axes = {}, bool keepdim = false);

// --- shapes
// ------------------------------------------------------------------------------------------------------------
/// The same elements in another shape; one size may be -1. A view where strides allow, else a copy.
Tensor reshape(const Tensor& x, const Shape& shape);
/// Joins axes first..last into one.
Tensor flatten(const Tensor& x, int first = 0, int last = -1);
Tensor transpose(const Tensor& x, int axis0 = -2, int axis1 = -1);  // a view
Tensor permute(const Tensor& x, const Axes& order);                 // a view
/// x[start:stop:step] along one axis; negative positions count from the back, step is positive. A view.
Tensor slice(const Tensor& x, int axis, Index start, Index stop = std::numeric_limits<Index>::max(), Index step = 1);
/// One position along an axis, which disappears. A view.
Tensor select(const Tensor& x, int axis, Index position);
/// Repeats axes of size 1 by stride 0, NumPy's broadcast_to. A view.
Tensor expand(const Tensor& x, const Shape& shape);
Tensor squeeze(const Tensor& x, int axis);
Tensor unsqueeze(const Tensor& x, int axis);
/// x itself when dense row-major, else a dense copy.
Tensor contiguous(const Tensor& x);
/// A dense copy, always.
Tensor clone(const Tensor& x);
Tensor concat(std::span<const Tensor> parts, int axis = 0);
Tensor concat(std::initializer_list<Tensor> parts, int axis = 0);
Tensor stack(std::span<const Tensor> parts, int axis = 0);
Tensor stack(std::initializer_list<Tensor> parts, int axis = 0);
/// Views of `size` positions each, the last one smaller.
Tensors split(const Tensor& x, Index size, int axis = 0);
/// result[i][j] = x[i][index[i][j]] for axis 1: index has the rank of x and its sizes up to x's outside the axis.
Tensor gather(const Tensor& x, int axis, const Tensor& index);
/// Rows (or slices along another axis) in the order of a rank-1 index.
Tensor index_select(const Tensor& x, int axis, const Tensor& index);
/// x with source added at the positions that gather would read. Repeated positions add up in index order.
Tensor scatter_add(const Tensor& x, int axis, const Tensor& index, const Tensor& source);
/// [..., classes] of 0 and 1 from i64 classes.
Tensor one_hot(const Tensor& index, Index classes, DType dtype = DType::f32);
/// Adds `before` and `after` positions holding `value` along one axis.
Tensor pad(const Tensor& x, int axis, Index before, Index after, double value = 0);
Tensor flip(const Tensor& x, const Axes& axes);
/// Rotates positions along one axis: result[i] = x[i - shift].
Tensor roll(const Tensor& x, Index shift, int axis);
/// Keeps the upper (lower) triangle of the last two axes, counted from `diagonal`.
Tensor triu(const Tensor& x, Index diagonal = 0);
Tensor tril(const Tensor& x, Index diagonal = 0);

// --- products
// ----------------------------------------------------------------------------------------------------------
/// [..., m, k] x [..., k, n] -> [..., m, n]; batches broadcast, transposed operands cost no copy. A rank-1 operand is a
/// row (left) or a column (right), whose axis disappears.
Tensor matmul(const Tensor& a, const Tensor& b);
/// x weight^T + bias: [..., in], [out, in], [out] or an empty bias -> [..., out].
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

// --- softmax and losses
// ------------------------------------------------------------------------------------------------
Tensor softmax(const Tensor& x, int axis = -1);
Tensor log_softmax(const Tensor& x, int axis = -1);

enum class Reduction { mean, sum, none };

struct CrossEntropyOptions {
  double label_smoothing = 0;             // in [0, 1): this share of the target is spread evenly over the classes
  Index ignore_index = -100;              // targets with this class count for nothing
  Tensor class_weights = {};              // [classes], or empty
  Reduction reduction = Reduction::mean;  // with weights or ignored targets: the weighted mean
};
/// -log softmax(logits)[target]. logits [..., classes]; target: i64 classes [...], or probabilities of logits' shape.
Tensor cross_entropy(const Tensor& logits, const Tensor& target, const CrossEntropyOptions& options = {});
/// -log_probabilities[target], with the same options but label smoothing.
Tensor nll_loss(const Tensor& log_probabilities, const Tensor& target, const CrossEntropyOptions& options = {});
Tensor mse_loss(const Tensor& prediction, const Tensor& target, Reduction reduction = Reduction::mean);
Tensor l1_loss(const Tensor& prediction, const Tensor& target, Reduction reduction = Reduction::mean);
/// Quadratic up to delta, linear beyond (Huber 1964; PyTorch's huber_loss).
Tensor huber_loss(const Tensor& prediction, const Tensor& target, double delta = 1,
                  Reduction reduction = Reduction::mean);
/// Binary cross-entropy of sigmoid(logits), without overflow; targets in [0, 1].
Tensor bce_with_logits(const Tensor& logits, const Tensor& target, Reduction reduction = Reduction::mean);
/// target (log target - input), with log-probabilities as input. Reduction::mean divides by the first axis
/// (PyTorch's batchmean, the mathematical value).
Tensor kl_div(const Tensor& log_probabilities, const Tensor& target, Reduction reduction = Reduction::mean);
/// max(0, margin - target * prediction) for targets -1 and 1.
Tensor hinge_loss(const Tensor& prediction, const Tensor& target, double margin = 1,
                  Reduction reduction = Reduction::mean);

// --- random
// ------------------------------------------------------------------------------------------------------------
/// Zeroes each element with probability p and scales the others by 1 / (1 - p). Advances rng; the mask is recomputed
/// from its counter, not stored.
Tensor dropout(const Tensor& x, double p, Rng& rng);

}  // namespace gradus
