// Ops that read or write at given positions: gather, index_select, scatter_add, one_hot.
#include "core/ops/elementwise.h"

#include <fmt/format.h>

#include <algorithm>

namespace gradus {
namespace ops {
namespace {

void check_index(const char* op, const Tensor& index, Index size) {
  GRADUS_CHECK(index.dtype() == DType::i64, fmt::format("{}: the index must be i64, got {}", op, describe(index)));
  const Tensor dense = contiguous(index);
  const auto values = dense.data<Index>();
  for (std::size_t i = 0; i < values.size(); ++i)
    GRADUS_CHECK(values[i] >= 0 && values[i] < size,
                 fmt::format("{}: index {} at position {} is outside 0 to {}", op, values[i], i, size - 1));
}

// Calls f(at_index, at_positions, at_base): offsets into `index`, into a dense tensor of its shape, and into `base` at
// the indexed place, for every element of `index` in order.
template <class F>
void for_each_indexed(const Tensor& base, int axis, const Tensor& index, const F& f) {
  const Tensor dense = contiguous(index);
  const Index* at = dense.ptr<Index>();
  Index linear = 0;
  naive::each(index.shape(), [&](const Shape& i) {
    Index offset = at[linear] * base.strides()[axis];
    for (int k = 0; k < i.rank(); ++k)
      if (k != axis) offset += i[k] * base.strides()[k];
    f(linear++, offset);
  });
}

void check_gather_shape(const char* op, const Tensor& x, int axis, const Tensor& index) {
  bool fits = index.rank() == x.rank();
  for (int k = 0; k < x.rank() && fits; ++k) fits = k == axis || index.shape()[k] <= x.shape()[k];
  GRADUS_CHECK(fits,
               fmt::format("{}: the index must have the rank of x and, outside axis {}, at most its sizes\n  x: {}\n  "
                           "index: {}",
                           op, axis, describe(x), describe(index)));
}

struct Gather {
  static constexpr std::string_view kName = "gather";
  static constexpr int kSaved = 0;
  int axis;
  Tensor index;
  Shape shape = {};
  Tensor forward(Saver<0>&, const Tensor& x) {
    shape = x.shape();
    Tensor y = empty(index.shape(), x.dtype());
    with_type<true>(x.dtype(), kName, [&]<class T>() {
      for_each_indexed(x, axis, index, [&](Index to, Index from) { y.mutable_ptr<T>()[to] = x.ptr<T>()[from]; });
    });
    return y;
  }
  Grads<1> vjp(const Saved<0>&, const Tensor& dy, Needs<1>) const {
    return {scatter_add(zeros(shape, dy.dtype()), axis, index, dy)};
  }
  static void cases(Cases& cases) {
    const Tensor index = reshape(indices({0, 2, 1, 1, 2, 2}), {3, 2});
    for (const int axis : {0, 1})
      cases.add({axis == 0 ? "rows" : "columns",
                 {cases.normal({3, 4})},
                 [=](const Tensors& in) { return gather(in[0], axis, index); },
                 [=](const Tensors& in) {
                   const naive::Array x(in[0]), at(index);
                   return naive::build({3, 2}, [&](Shape i) {
                     const auto place = static_cast<Index>(at(i));
                     i[axis] = place;
                     return x(i);
                   });
                 }});
    cases.add({"empty",
               {cases.normal({3, 2})},
               [](const Tensors& in) {
                 return gather(in[0], 0, zeros({0, 2}, DType::i64));
               },
               [](const Tensors&) {
                 return zeros({0, 2}, DType::f64);
               }});
    cases.refuse(
        "range",
        [=] {
          gather(zeros({2, 2}), 0, index);
        },
        "index 2 at position 1 is outside 0 to 1");
    cases.refuse(
        "dtype", [] { gather(zeros({2}), 0, zeros({2})); }, "must be i64");
    cases.refuse(
        "rank",
        [] {
          gather(zeros({2, 2}), 0, indices({0}));
        },
        "must have the rank of x");
  }
};

struct ScatterAdd {
  static constexpr std::string_view kName = "scatter_add";
  static constexpr int kSaved = 0;
  int axis;
  Tensor index;
  Tensor forward(Saver<0>&, const Tensor& x, const Tensor& source) {
    Tensor y = clone(x);
    const Tensor more = contiguous(source);
    with_type<true>(x.dtype(), kName, [&]<class T>() {
      for_each_indexed(y, axis, index, [&](Index from, Index to) { y.mutable_ptr<T>()[to] += more.ptr<T>()[from]; });
    });
    return y;
  }
  Grads<2> vjp(const Saved<0>&, const Tensor& dy, Needs<2> needs) const {
    return {dy, needs[1] ? gather(dy, axis, index) : Tensor()};
  }
  static void cases(Cases& cases) {
    const Tensor index = reshape(indices({0, 2, 1, 1, 2, 2}), {3, 2});
    for (const int axis : {0, 1})
      cases.add({axis == 0 ? "rows" : "columns",
                 {cases.normal({3, 4}), cases.normal({3, 2})},
                 [=](const Tensors& in) { return scatter_add(in[0], axis, index, in[1]); },
                 [=](const Tensors& in) {
                   naive::Array y(in[0]);
                   const naive::Array source(in[1]), at(index);
                   naive::each(source.shape, [&](const Shape& i) {
                     Shape place = i;
                     place[axis] = static_cast<Index>(at(i));
                     y(place) += source(i);
                   });
                   return y.tensor();
                 }});
    cases.refuse(
        "range",
        [=] {
          scatter_add(zeros({2, 2}), 0, index, zeros({3, 2}));
        },
        "is outside 0 to 1");
    cases.refuse(
        "source",
        [=] {
          scatter_add(zeros({3, 2}), 0, index, zeros({2, 2}));
        },
        "must have the shape of the index");
  }
};

// A dense tensor seen as [outer, size, inner] around one axis.
struct Around {
  Index outer = 1, inner = 1;
  Around(const Shape& shape, int axis) {
    for (int i = 0; i < axis; ++i) outer *= shape[i];
    for (int i = axis + 1; i < shape.rank(); ++i) inner *= shape[i];
  }
};

struct IndexSelect {
  static constexpr std::string_view kName = "index_select";
  static constexpr int kSaved = 0;
  int axis;
  Tensor index;  // dense, rank 1
  Shape shape = {};
  Tensor forward(Saver<0>&, const Tensor& input) {
    shape = input.shape();
    const Tensor x = contiguous(input);
    Shape to = shape;
    to[axis] = index.numel();
    Tensor y = empty(to, x.dtype());
    const Around around(shape, axis);
    const Index size = shape[axis];
    const Index count = index.numel();
    with_type<true>(x.dtype(), kName, [&]<class T>() {
      parallel_for(around.outer * count, std::max<Index>(1, kernels::kChunk / std::max<Index>(around.inner, 1)),
                   [&](Index begin, Index end) {
                     for (Index row = begin; row < end; ++row) {
                       const Index from = row / count * size + index.ptr<Index>()[row % count];
                       const T* source = x.ptr<T>() + from * around.inner;
                       std::copy(source, source + around.inner, y.mutable_ptr<T>() + row * around.inner);
                     }
                   });
    });
    return y;
  }
  Grads<1> vjp(const Saved<0>&, const Tensor& dy, Needs<1>) const;
  static void cases(Cases& cases) {
    const Tensor index = indices({2, 0, 2, 1});
    for (const int axis : {0, 1, 2})
      cases.add({fmt::format("axis {}", axis),
                 {cases.normal({3, 4, 3})},
                 [=](const Tensors& in) { return index_select(in[0], axis, index); },
                 [=](const Tensors& in) {
                   const naive::Array x(in[0]);
                   Shape to = x.shape;
                   to[axis] = 4;
                   return naive::build(to, [&](Shape i) {
                     i[axis] = index.data<Index>()[static_cast<std::size_t>(i[axis])];
                     return x(i);
                   });
                 }});
    cases.add({"nothing",
               {cases.normal({3, 2})},
               [](const Tensors& in) { return index_select(in[0], 0, indices({})); },
               [](const Tensors&) {
                 return zeros({0, 2}, DType::f64);
               }});
    cases.refuse(
        "range",
        [] {
          index_select(zeros({2, 2}), 0, indices({0, -1}));
        },
        "index -1 at position 1");
    cases.refuse(
        "rank",
        [] {
          index_select(zeros({2, 2}), 0, zeros({1, 1}, DType::i64));
        },
        "must have rank 1");
  }
};

// The transpose of IndexSelect: rows of dy added into zeros, repeated positions in index order.
struct IndexAdd {
  static constexpr std::string_view kName = "index_add";
  static constexpr int kSaved = 0;
  int axis;
  Tensor index;
  Shape shape;
  Tensor forward(Saver<0>&, const Tensor& input) {
    const Tensor dy = contiguous(input);
    Tensor dx = zeros(shape, dy.dtype());
    const Around around(shape, axis);
    const Index count = index.numel();
    // Threads own strips of the inner axis, so that every place adds up in index order.
    const Index strip = std::max<Index>(16, kernels::kChunk / std::max<Index>(around.outer * count, 1));
    with_type<true>(dy.dtype(), kName, [&]<class T>() {
      parallel_for(around.inner, strip, [&](Index begin, Index end) {
        for (Index row = 0; row < around.outer * count; ++row) {
          const Index to = row / count * shape[axis] + index.ptr<Index>()[row % count];
          T* __restrict total = dx.mutable_ptr<T>() + to * around.inner;
          const T* more = dy.ptr<T>() + row * around.inner;
          for (Index i = begin; i < end; ++i) total[i] += more[i];
        }
      });
    });
    return dx;
  }
  Grads<1> vjp(const Saved<0>&, const Tensor& ddx, Needs<1>) const { return {index_select(ddx, axis, index)}; }
  static void cases(Cases& cases) {
    const Tensor index = indices({2, 0, 2, 1});
    cases.add({"repeated",
               {cases.normal({4, 2})},
               [=](const Tensors& in) {
                 return apply(IndexAdd{0, index, {3, 2}}, in[0]);
               },
               [=](const Tensors& in) {
                 const naive::Array dy(in[0]);
                 naive::Array dx(Shape{3, 2});
                 naive::each(dy.shape, [&](const Shape& i) {
                   dx({index.data<Index>()[static_cast<std::size_t>(i[0])], i[1]}) += dy(i);
                 });
                 return dx.tensor();
               }});
  }
};

Grads<1> IndexSelect::vjp(const Saved<0>&, const Tensor& dy, Needs<1>) const {
  return {apply(IndexAdd{axis, index, shape}, dy)};
}

struct OneHot {
  static constexpr std::string_view kName = "one_hot";
  static void cases(Cases& cases) {
    cases.add({"vector",
               {},
               [](const Tensors&) {
                 return one_hot(indices({2, 0}), 3, DType::f64);
               },
               [](const Tensors&) {
                 return tensor({0, 0, 1, 1, 0, 0}, {2, 3}, DType::f64);
               },
               false});
    cases.refuse(
        "range", [] { one_hot(indices({3}), 3); }, "index 3 at position 0 is outside 0 to 2");
  }
};

using Family = OpList<Gather, ScatterAdd, IndexSelect, IndexAdd, OneHot>;

}  // namespace

std::vector<OpInfo> index_ops() { return Family::table(); }

}  // namespace ops

using ops::Family;

Tensor gather(const Tensor& x, int axis, const Tensor& index) {
  axis = normalize_axis(axis, x.rank(), "gather");
  ops::check_gather_shape("gather", x, axis, index);
  ops::check_index("gather", index, x.shape()[axis]);
  return Family::run(ops::Gather{axis, index.detach()}, x);
}

Tensor scatter_add(const Tensor& x, int axis, const Tensor& index, const Tensor& source) {
  axis = normalize_axis(axis, x.rank(), "scatter_add");
  ops::check_same_dtype("scatter_add", x, source);
  ops::check_gather_shape("scatter_add", x, axis, index);
  ops::check_index("scatter_add", index, x.shape()[axis]);
  GRADUS_CHECK(source.shape() == index.shape(),
               fmt::format("scatter_add: the source must have the shape of the index\n  source: {}\n  index: {}",
                           describe(source), describe(index)));
  return Family::run(ops::ScatterAdd{axis, index.detach()}, x, source);
}

Tensor index_select(const Tensor& x, int axis, const Tensor& index) {
  axis = normalize_axis(axis, x.rank(), "index_select");
  GRADUS_CHECK(index.rank() == 1, fmt::format("index_select: the index must have rank 1, got {}", describe(index)));
  ops::check_index("index_select", index, x.shape()[axis]);
  return Family::run(ops::IndexSelect{axis, contiguous(index.detach())}, x);
}

Tensor one_hot(const Tensor& index, Index classes, DType dtype) {
  ops::check_index("one_hot", index, classes);
  Shape shape = index.shape();
  shape.push_back(classes);
  Tensor result = zeros(shape, dtype);
  const Tensor dense = contiguous(index);
  ops::with_type<true>(dtype, "one_hot", [&]<class T>() {
    for (Index i = 0; i < dense.numel(); ++i) result.mutable_ptr<T>()[i * classes + dense.ptr<Index>()[i]] = T(1);
  });
  return result;
}

}  // namespace gradus
