// Matrix products: matmul over broadcast batches, and linear with its bias.
#include "core/kernels/gemm.h"
#include "core/ops/elementwise.h"

#include <fmt/format.h>

#include <cmath>

namespace gradus {
namespace ops {
namespace {

// How gemm sees the last two axes of an operand: rows `stride` apart, as they are or transposed. Copies if it is
// neither.
struct Matrix {
  Tensor dense;  // keeps a copy alive
  bool transposed = false;
  Index stride = 1;

  explicit Matrix(const Tensor& x) : dense(x) {
    const int r = x.rank();
    if (readable(x.size(-2), x.strides()[r - 2], x.size(-1), x.strides()[r - 1])) {
      stride = std::max(x.strides()[r - 2], x.size(-1));
    } else if (readable(x.size(-1), x.strides()[r - 1], x.size(-2), x.strides()[r - 2])) {
      transposed = true;
      stride = std::max(x.strides()[r - 1], x.size(-2));
    } else {
      dense = clone(x);
      stride = std::max<Index>(x.size(-1), 1);
    }
  }

 private:
  // Elements of a row are neighbors, and rows do not overlap.
  static bool readable(Index rows, Index row_stride, Index columns, Index column_stride) {
    return (columns <= 1 || column_stride == 1) && (rows <= 1 || row_stride >= std::max<Index>(columns, 1));
  }
};

Shape batch_of(const Shape& shape) {
  Shape batch = shape;
  batch.erase(batch.rank() - 1);
  batch.erase(batch.rank() - 1);
  return batch;
}

struct MatMul {
  static constexpr std::string_view kName = "matmul";
  static constexpr int kSaved = 2;

  Tensor forward(Saver<2>& save, const Tensor& a, const Tensor& b) {
    if (save.needs(0)) save.at(1, b);
    if (save.needs(1)) save.at(0, a);
    save_shapes(save, a, b);
    const Index m = a.size(-2), k = a.size(-1), n = b.size(-1);
    const Shape batch = broadcast(batch_of(a.shape()), batch_of(b.shape()), "matmul");
    Shape shape = batch;
    shape.push_back(m);
    shape.push_back(n);
    Tensor y = empty(shape, a.dtype());
    const Matrix left(a), right(b);
    with_type<false>(a.dtype(), kName, [&]<class T>() { multiply<T>(left, right, batch, m, n, k, y); });
    return y;
  }

  Grads<2> vjp(const Saved<2>& saved, const Tensor& dy, Needs<2> needs) const {
    Grads<2> grads;
    if (needs[0]) grads[0] = sum_to(matmul(dy, transpose(saved[1])), a_shape);
    if (!needs[1]) return grads;
    if (b_shape.rank() == 2 && a_shape.rank() > 2) {  // one product over all batches instead of a sum of products
      const Tensor rows = reshape(saved[0], {-1, a_shape.back()});
      grads[1] = matmul(transpose(rows), reshape(dy, {-1, dy.size(-1)}));
    } else {
      grads[1] = sum_to(matmul(transpose(saved[0]), dy), b_shape);
    }
    return grads;
  }

  static void cases(Cases& cases) {
    const auto check = [&](const char* label, const Shape& a, const Shape& b) {
      cases.add({label,
                 {cases.normal(a), cases.normal(b)},
                 [](const Tensors& in) { return matmul(in[0], in[1]); },
                 [](const Tensors& in) {
                   naive::Array left(in[0]), right(in[1]);
                   if (left.shape.rank() == 1) left.shape.insert(0, 1);
                   if (right.shape.rank() == 1) right.shape.push_back(1);
                   Shape shape = broadcast(batch_of(left.shape), batch_of(right.shape), "naive");
                   shape.push_back(left.shape[left.shape.rank() - 2]);
                   shape.push_back(right.shape.back());
                   const int r = shape.rank();
                   const Tensor y = naive::build(shape, [&](const Shape& i) {
                     double total = 0;
                     for (Index k = 0; k < left.shape.back(); ++k) {
                       Shape l = i, q = i;
                       l[r - 1] = k;
                       q[r - 2] = k;
                       total += left.broadcast(l) * right.broadcast(q);
                     }
                     return total;
                   });
                   Shape kept = shape;
                   if (in[1].rank() == 1) kept.erase(r - 1);
                   if (in[0].rank() == 1) kept.erase(kept.rank() - (in[1].rank() == 1 ? 1 : 2));
                   return tensor(y.to_vector(), kept, DType::f64);
                 }});
    };
    check("matrices", {3, 4}, {4, 2});
    check("batch", {2, 3, 4}, {2, 4, 2});
    check("shared right", {2, 2, 3, 4}, {4, 2});
    check("broadcast batch", {2, 1, 3, 4}, {3, 4, 2});
    check("row", {4}, {4, 2});
    check("column", {3, 4}, {4});
    check("dot", {4}, {4});
    check("inner size 0", {2, 0}, {0, 3});
    check("empty", {0, 3}, {3, 2});
    cases.refuse(
        "inner sizes",
        [] {
          matmul(zeros({32, 784}), zeros({512, 10}));
        },
        "got 784 and 512");
    cases.refuse(
        "batch",
        [] {
          matmul(zeros({2, 3, 4}), zeros({3, 4, 2}));
        },
        "shapes do not broadcast");
    cases.refuse(
        "rank 0",
        [] {
          matmul(zeros({}), zeros({2, 2}));
        },
        "at least one axis");
    cases.refuse(
        "dtypes",
        [] {
          matmul(zeros({2, 2}), zeros({2, 2}, DType::f64));
        },
        "dtypes differ");
  }

 private:
  Shape a_shape, b_shape;

  void save_shapes(const Saver<2>& save, const Tensor& a, const Tensor& b) {
    if (!save.active()) return;
    a_shape = a.shape();
    b_shape = b.shape();
  }

  template <class T>
  static void multiply(const Matrix& left, const Matrix& right, const Shape& batch, Index m, Index n, Index k,
                       Tensor& y) {
    const T* a = left.dense.ptr<T>();
    const T* b = right.dense.ptr<T>();
    T* out = y.mutable_ptr<T>();
    const Index products = batch.numel();
    if (right.dense.rank() == 2 && !left.transposed && left.dense.is_contiguous()) {  // batches are just more rows
      kernels::gemm(false, right.transposed, products * m, n, k, a, left.stride, b, right.stride, out, n, false);
      return;
    }
    // Walk the batch with each operand's strides; one call where they form a single run.
    const auto batch_strides = [&](const Tensor& x) {
      Strides strides = Shape::filled(batch.rank(), 0);
      const int extra = batch.rank() - (x.rank() - 2);
      for (int i = 0; i < x.rank() - 2; ++i) strides[i + extra] = x.shape()[i] == 1 ? 0 : x.strides()[i];
      return strides;
    };
    const Strides a_strides = batch_strides(left.dense), b_strides = batch_strides(right.dense);
    Strides y_strides = row_major(batch);
    for (int i = 0; i < batch.rank(); ++i) y_strides[i] *= m * n;
    const auto nest = kernels::merge_axes<3>(batch, {&y_strides, &a_strides, &b_strides});
    const int last = nest.shape.rank() - 1;
    const auto run = [&](Index y_at, Index a_at, Index b_at) {
      kernels::gemm_batched(left.transposed, right.transposed, nest.shape[last], m, n, k, a + a_at, left.stride,
                            nest.strides[1][last], b + b_at, right.stride, nest.strides[2][last], out + y_at, n,
                            nest.strides[0][last], false);
    };
    Shape index = Shape::filled(last, 0);
    Index total = products > 0 ? products / nest.shape[last] : 0;
    for (; total > 0; --total) {
      Index at[3] = {0, 0, 0};
      for (int i = 0; i < last; ++i)
        for (std::size_t op = 0; op < 3; ++op) at[op] += index[i] * nest.strides[op][i];
      run(at[0], at[1], at[2]);
      for (int i = last - 1; i >= 0; --i) {
        if (++index[i] < nest.shape[i]) break;
        index[i] = 0;
      }
    }
  }
};

// y = x weight^T + bias over rows: one product that starts from the bias.
struct Linear {
  static constexpr std::string_view kName = "linear";
  static constexpr int kSaved = 2;

  Tensor forward(Saver<2>& save, const Tensor& x, const Tensor& weight, const Tensor& bias) {
    if (save.needs(0)) save.at(1, weight);
    if (save.needs(1)) save.at(0, x);
    Shape shape = x.shape();
    const Index in = shape.back(), out = weight.shape()[0];
    shape[shape.rank() - 1] = out;
    Tensor y = empty(shape, x.dtype());
    const Tensor dense = contiguous(x);
    const Matrix matrix(weight);
    const Tensor start = contiguous(bias);
    with_type<false>(x.dtype(), kName, [&]<class T>() {
      kernels::gemm(false, !matrix.transposed, y.numel() / std::max<Index>(out, 1), out, in, dense.ptr<T>(),
                    std::max<Index>(in, 1), matrix.dense.ptr<T>(), matrix.stride, y.mutable_ptr<T>(),
                    std::max<Index>(out, 1), false, start.ptr<T>());
    });
    return y;
  }

  Grads<3> vjp(const Saved<2>& saved, const Tensor& dy, Needs<3> needs) const {
    Grads<3> grads;
    if (needs[0]) grads[0] = matmul(dy, saved[1]);
    const Tensor rows = dy.rank() == 2 ? dy : reshape(dy, {-1, dy.size(-1)});
    if (needs[1]) {
      const Tensor& x = saved[0];
      grads[1] = matmul(transpose(rows), x.rank() == 2 ? x : reshape(x, {-1, x.size(-1)}));
    }
    if (needs[2]) grads[2] = sum(rows, {0});
    return grads;
  }

  static void cases(Cases& cases) {
    const auto check = [&](const char* label, const Shape& shape) {
      cases.add({label,
                 {cases.normal(shape), cases.normal({2, 4}), cases.normal({2})},
                 [](const Tensors& in) { return linear(in[0], in[1], in[2]); },
                 [](const Tensors& in) {
                   const naive::Array x(in[0]), weight(in[1]), bias(in[2]);
                   Shape result = x.shape;
                   const int last = result.rank() - 1;
                   result[last] = 2;
                   return naive::build(result, [&](const Shape& i) {
                     double total = bias({i[last]});
                     for (Index k = 0; k < 4; ++k) {
                       Shape at = i;
                       at[last] = k;
                       total += x(at) * weight({i[last], k});
                     }
                     return total;
                   });
                 }});
    };
    check("batch", {3, 4});
    check("one vector", {4});
    check("sequences", {2, 3, 4});
    check("empty", {0, 4});
    cases.refuse(
        "features",
        [] {
          linear(zeros({3, 5}), zeros({2, 4}), zeros({2}));
        },
        "got 5 and 4");
    cases.refuse(
        "bias",
        [] {
          linear(zeros({3, 4}), zeros({2, 4}), zeros({4}));
        },
        "needs a bias of shape [2]");
  }
};

using Family = OpList<MatMul, Linear>;

}  // namespace

std::vector<OpInfo> matmul_ops() { return Family::table(); }

}  // namespace ops

using ops::Family;

Tensor matmul(const Tensor& a, const Tensor& b) {
  GRADUS_CHECK(a.rank() >= 1 && b.rank() >= 1,
               fmt::format("matmul: operands need at least one axis\n  a: {}\n  b: {}", describe(a), describe(b)));
  ops::check_same_dtype("matmul", a, b);
  const Index right = b.rank() == 1 ? b.shape()[0] : b.size(-2);
  GRADUS_CHECK(
      a.shape().back() == right,
      fmt::format("matmul: inner sizes differ\n  a: {}\n  b: {}\n  needs a.shape[-1] == b.shape[{}], got {} and {}",
                  describe(a), describe(b), b.rank() == 1 ? -1 : -2, a.shape().back(), right));
  if (a.rank() == 1) return squeeze(matmul(unsqueeze(a, 0), b), b.rank() == 1 ? 0 : -2);
  if (b.rank() == 1) return squeeze(matmul(a, unsqueeze(b, 1)), -1);
  return Family::run(ops::MatMul{}, a, b);
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  GRADUS_CHECK(x.rank() >= 1 && weight.rank() == 2,
               fmt::format("linear: needs x [..., in] and a weight [out, in]\n  x: {}\n  weight: {}", describe(x),
                           describe(weight)));
  ops::check_same_dtype("linear", x, weight);
  GRADUS_CHECK(
      x.shape().back() == weight.shape()[1],
      fmt::format(
          "linear: the features of x do not fit the weight\n  x: {}\n  weight: {}\n  needs x.shape[-1] == "
          "weight.shape[1], got {} and {}{}",
          describe(x), describe(weight), x.shape().back(), weight.shape()[1],
          x.rank() > 2 && x.numel() == x.shape()[0] * weight.shape()[1] ? "\n  hint: was the input flattened?" : ""));
  if (!bias.defined()) return matmul(x, transpose(weight));
  ops::check_same_dtype("linear", x, bias);
  GRADUS_CHECK(bias.rank() == 1 && bias.shape()[0] == weight.shape()[0],
               fmt::format("linear: needs a bias of shape [{}]\n  weight: {}\n  bias: {}", weight.shape()[0],
                           describe(weight), describe(bias)));
  return Family::run(ops::Linear{}, x, weight, bias);
}

}  // namespace gradus
