#include "core/linalg.h"

#include "core/autograd.h"
#include "core/kernels/gemm.h"
#include "core/kernels/linalg.h"
#include "core/kernels/qr.h"
#include "core/ops.h"
#include "core/parallel.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace gradus::linalg {
namespace {

void check_matrix(const char* function, const Tensor& a) {
  GRADUS_CHECK(a.defined() && a.rank() == 2 && (a.dtype() == DType::f32 || a.dtype() == DType::f64),
               std::string(function) + ": " + (a.defined() ? describe(a) : "an empty handle") +
                   "\n  needs a matrix, f32 or f64 [rows, columns]");
}

void check_square(const char* function, const Tensor& a) {
  check_matrix(function, a);
  GRADUS_CHECK(a.size(0) == a.size(1),
               std::string(function) + ": " + describe(a) + "\n  needs as many rows as columns");
}

std::vector<double> finite_values(const char* function, const Tensor& a) {
  std::vector<double> values = a.to_vector();
  for (std::size_t i = 0; i < values.size(); ++i)
    GRADUS_CHECK(std::isfinite(values[i]), std::string(function) + ": the matrix has the value " +
                                               std::to_string(values[i]) + " at element " + std::to_string(i) + ", " +
                                               describe(a) + "\n  needs finite values");
  return values;
}

Tensor from(const std::vector<double>& values, const Shape& shape, DType dtype) { return tensor(values, shape, dtype); }

// ceil(rows / kPanels) rows of a Gram matrix are computed at a time, each up to its diagonal.
constexpr Index kPanels = 8;

/// c = x x^T; x is [m, k], c is [m, m].
template <class T>
void gram_into(Index m, Index k, const T* x, T* c) {
  const Index panel = std::max<Index>(32, (m + kPanels - 1) / kPanels);
  for (Index begin = 0; begin < m; begin += panel) {
    const Index end = std::min(m, begin + panel);
    kernels::gemm<T>(false, true, end - begin, end, k, x + begin * k, k, x, k, c + begin * m, m, false);
  }
  parallel_for(m, 64, [&](Index first, Index last) {
    for (Index i = first; i < last; ++i)
      for (Index j = i + 1; j < m; ++j) c[i * m + j] = c[j * m + i];
  });
}

/// x is [m, k] with m <= k.
template <class T>
void run_quintics(Index m, Index k, T* x, std::span<const Quintic> steps) {
  const auto square_size = static_cast<std::size_t>(m * m);
  const Tensor a = empty({m, m}, dtype_of<T>), b = empty({m, m}, dtype_of<T>), y = empty({m, k}, dtype_of<T>);
  T *const gram = a.mutable_ptr<T>(), *const poly = b.mutable_ptr<T>();
  T *from = x, *to = y.mutable_ptr<T>();
  for (const Quintic& step : steps) {
    const T linear = T(step[0]), cubic = T(step[1]), quintic = T(step[2]);
    gram_into(m, k, from, gram);
    if (quintic != 0) {
      gram_into(m, m, gram, poly);  // gram is symmetric: gram gram^T is its square
      for (std::size_t i = 0; i < square_size; ++i) poly[i] = cubic * gram[i] + quintic * poly[i];
    } else {
      for (std::size_t i = 0; i < square_size; ++i) poly[i] = cubic * gram[i];
    }
    for (Index i = 0; i < m; ++i) poly[i * m + i] += linear;
    kernels::gemm<T>(false, false, m, k, m, poly, m, from, k, to, k, false);
    std::swap(from, to);
  }
  if (from != x) std::copy(from, from + m * k, x);
}

}  // namespace

Eigh eigh(const Tensor& a) {
  check_square("eigh", a);
  const Index n = a.size(0);
  const std::vector<double> values = finite_values("eigh", a);
  std::vector<double> eigenvalues(static_cast<std::size_t>(n)), vectors(static_cast<std::size_t>(n * n));
  GRADUS_CHECK(n == 0 || kernels::eigh(values.data(), n, eigenvalues.data(), vectors.data()),
               "eigh: no convergence for " + describe(a));
  return {from(eigenvalues, {n}, a.dtype()), from(vectors, {n, n}, a.dtype())};
}

Svd svd(const Tensor& a) {
  check_matrix("svd", a);
  const Index m = a.size(0), n = a.size(1), k = std::min(m, n);
  const std::vector<double> values = finite_values("svd", a);
  std::vector<double> u(static_cast<std::size_t>(m * k)), s(static_cast<std::size_t>(k)),
      vt(static_cast<std::size_t>(k * n));
  if (k > 0) kernels::svd(values.data(), m, n, u.data(), s.data(), vt.data());
  return {from(u, {m, k}, a.dtype()), from(s, {k}, a.dtype()), from(vt, {k, n}, a.dtype())};
}

Tensor orthonormal_columns(const Tensor& a) {
  check_matrix("orthonormal_columns", a);
  GRADUS_CHECK(a.size(0) >= a.size(1),
               "orthonormal_columns: " + describe(a) + "\n  needs at least as many rows as columns");
  std::vector<double> values = finite_values("orthonormal_columns", a);
  if (!values.empty()) kernels::orthonormalize(values.data(), a.size(0), a.size(1));
  return from(values, a.shape(), a.dtype());
}

Tensor gram(const Tensor& x) {
  check_matrix("gram", x);
  const Tensor dense = contiguous(x.detach());
  const Index m = x.size(0), k = x.size(1);
  Tensor c = empty({m, m}, x.dtype());
  if (x.dtype() == DType::f32) {
    gram_into(m, k, dense.ptr<float>(), c.mutable_ptr<float>());
  } else {
    gram_into(m, k, dense.ptr<double>(), c.mutable_ptr<double>());
  }
  return c;
}

Tensor symmetric_power(const Tensor& a, double exponent, double eps) {
  const NoGrad no_grad;
  const Eigh e = eigh(to(a, DType::f64));
  std::vector<double> powers = e.values.to_vector();
  for (double& value : powers) value = std::pow(std::max(value, 0.0) + eps, exponent);
  const Tensor scale = from(powers, {1, a.size(0)}, DType::f64);
  return to(matmul(e.vectors * scale, transpose(e.vectors)), a.dtype());
}

Tensor inverse_root_newton(const Tensor& a, int p, double eps, double tolerance, int max_steps) {
  check_square("inverse_root_newton", a);
  GRADUS_CHECK(p >= 1, "inverse_root_newton: p = " + std::to_string(p) + "\n  needs p >= 1");
  const NoGrad no_grad;
  const Index n = a.size(0);
  if (n == 0) return clone(a);
  const Tensor identity = eye(n, a.dtype());
  const Tensor shifted = a.detach() + identity * eps;
  const double size = norm(shifted).item();
  GRADUS_CHECK(std::isfinite(size) && size > 0, "inverse_root_newton: a + eps I has the norm " + std::to_string(size) +
                                                    "\n  needs a finite positive definite matrix");
  const double z = (p + 1) / (2 * size);
  Tensor root = identity * std::pow(z, 1.0 / p);  // -> (a + eps I)^(-1/p)
  Tensor residual = shifted * z;                  // -> I
  for (int step = 0; step < max_steps && max(abs(residual - identity)).item() >= tolerance; ++step) {
    const Tensor update = identity * (1 + 1.0 / p) - residual * (1.0 / p);
    root = matmul(root, update);
    Tensor power = update;  // update^p
    for (int i = 1; i < p; ++i) power = matmul(power, update);
    residual = matmul(power, residual);
  }
  return root;
}

Tensor apply_quintics(const Tensor& x, std::span<const Quintic> steps) {
  check_matrix("apply_quintics", x);
  const NoGrad no_grad;
  const bool tall = x.size(0) > x.size(1);
  Tensor result = clone(tall ? transpose(x.detach()) : x.detach());
  if (x.numel() > 0) {
    if (x.dtype() == DType::f32) {
      run_quintics(result.size(0), result.size(1), result.mutable_ptr<float>(), steps);
    } else {
      run_quintics(result.size(0), result.size(1), result.mutable_ptr<double>(), steps);
    }
  }
  return tall ? contiguous(transpose(result)) : result;
}

Tensor polar(const Tensor& a, double cut) {
  const NoGrad no_grad;
  const Svd f = svd(a);
  std::vector<double> keep = f.s.to_vector();
  const double largest = keep.empty() ? 0 : keep.front();
  for (double& value : keep) value = value > cut * largest ? 1 : 0;
  return matmul(f.u * from(keep, {1, f.s.numel()}, a.dtype()), f.vt);
}

}  // namespace gradus::linalg
