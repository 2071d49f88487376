// Decompositions and functions of dense matrices, without gradients: what second-order and orthogonalizing optimizers
// need.
//
// Arguments are f32 or f64, [rows, columns]; results have the argument's dtype. Decompositions compute in f64 on one
// thread; products run on all threads. Bits do not depend on the number of threads.
#pragma once

#include "core/tensor.h"

#include <array>
#include <span>

namespace gradus::linalg {

struct Eigh {
  Tensor values;   // [n], ascending
  Tensor vectors;  // [n, n], one a column
};
/// Eigenvalues and orthonormal eigenvectors of a symmetric matrix; only its lower triangle is read. Error when a value
/// is not finite.
Eigh eigh(const Tensor& a);

struct Svd {
  Tensor u;   // [m, k] with k = min(m, n), orthonormal columns
  Tensor s;   // [k], descending
  Tensor vt;  // [k, n], orthonormal rows
};
/// a = u diag(s) vt. Error when a value is not finite.
Svd svd(const Tensor& a);

/// Q of a = Q R with orthonormal columns and a positive diagonal of R; needs rows >= columns.
Tensor orthonormal_columns(const Tensor& a);

/// x x^T, at a little over half the cost of the product: one triangle is computed and mirrored.
Tensor gram(const Tensor& x);

/// a^exponent for a symmetric positive semidefinite matrix, by its eigenvalues: Q diag((max(l, 0) + eps)^exponent) Q^T.
Tensor symmetric_power(const Tensor& a, double exponent, double eps = 0);

/// (a + eps I)^(-1/p) by a coupled Newton iteration of products alone (Iannazzo 2006; used by Distributed Shampoo, Anil
/// et al. 2020, appendix). Stops when the residual is below `tolerance` everywhere, at the latest after `max_steps`.
Tensor inverse_root_newton(const Tensor& a, int p, double eps, double tolerance = 1e-6, int max_steps = 100);

/// One step X <- a X + b (X X^T) X + c (X X^T)^2 X on the singular values of X.
using Quintic = std::array<double, 3>;

/// Runs the steps on x, whose singular values should be at most about 1. The singular vectors stay, each singular value
/// goes through the polynomials: with fitting coefficients, to 1. Works on the side with the smaller Gram matrix.
Tensor apply_quintics(const Tensor& x, std::span<const Quintic> steps);

/// u vt of the singular value decomposition, the nearest matrix with orthonormal rows or columns. Singular values below
/// `cut` times the largest count as zero and are left out.
Tensor polar(const Tensor& a, double cut = 1e-12);

}  // namespace gradus::linalg
