// Ops that move elements: copies, concat, flip, roll, pad, triangles.
#include "core/kernels/copy.h"
#include "core/leaf.h"
#include "core/op_list.h"
#include "core/ops.h"

#include <fmt/format.h>

#include <algorithm>

namespace gradus {
namespace ops {
namespace {

using detail::view_of;

struct Clone {
  static constexpr std::string_view kName = "clone";
  static constexpr int kSaved = 0;
  Tensor forward(Saver<0>&, const Tensor& x) {
    Tensor y = empty(x.shape(), x.dtype());
    kernels::copy(y.dtype(), y.impl()->data, y.strides(), x.dtype(), x.impl()->data, x.strides(), x.shape());
    return y;
  }
  Grads<1> vjp(const Saved<0>&, const Tensor& dy, Needs<1>) const { return {dy}; }
  static void cases(Cases& cases) {
    cases.add({"matrix",
               {cases.normal({3, 4})},
               [](const Tensors& in) { return clone(in[0]); },
               [](const Tensors& in) { return naive::Array(in[0]).tensor(); }});
  }
};

struct Concat {
  static constexpr std::string_view kName = "concat";
  int axis;
  std::vector<Index> sizes = {};
  Tensor forward(std::span<const Tensor> parts) {
    Shape shape = parts[0].shape();
    shape[axis] = 0;
    for (const Tensor& part : parts) {
      sizes.push_back(part.shape()[axis]);
      shape[axis] += sizes.back();
    }
    Tensor y = empty(shape, parts[0].dtype());
    Index at = 0;
    for (const Tensor& part : parts) {
      const Index size = part.shape()[axis];
      slice(y, axis, at, at + size).copy_(part);
      at += size;
    }
    return y;
  }
  Tensors vjp(const Tensor& dy) const {
    Tensors grads;
    Index at = 0;
    for (const Index size : sizes) {
      grads.push_back(slice(dy, axis, at, at + size));
      at += size;
    }
    return grads;
  }
  static void cases(Cases& cases) {
    const auto check = [&](const char* label, int axis, const Shape& a, const Shape& b) {
      cases.add({label,
                 {cases.normal(a), cases.normal(b)},
                 [axis](const Tensors& in) { return concat(in, axis); },
                 [axis](const Tensors& in) {
                   const naive::Array left(in[0]), right(in[1]);
                   Shape shape = left.shape;
                   shape[axis] += right.shape[axis];
                   return naive::build(shape, [&](Shape i) {
                     if (i[axis] < left.shape[axis]) return left(i);
                     i[axis] -= left.shape[axis];
                     return right(i);
                   });
                 }});
    };
    check("rows", 0, {2, 3}, {4, 3});
    check("columns", 1, {2, 3}, {2, 1});
    check("one empty", 0, {0, 3}, {2, 3});
    cases.refuse(
        "none", [] { concat(Tensors{}, 0); }, "nothing to join");
    cases.refuse(
        "shapes",
        [] {
          concat({zeros({2, 3}), zeros({2, 4})}, 0);
        },
        "differ outside axis 0");
    cases.refuse(
        "dtypes",
        [] {
          concat({zeros({2}), zeros({2}, DType::f64)}, 0);
        },
        "dtypes differ");
  }
};

struct Flip {
  static constexpr std::string_view kName = "flip";
  static constexpr int kSaved = 0;
  Axes axes;
  Tensor forward(Saver<0>&, const Tensor& x) {
    Strides strides = x.strides();
    Index offset = 0;
    for (const int axis : axes) {
      offset += (x.shape()[axis] - 1) * strides[axis];
      strides[axis] = -strides[axis];
    }
    Tensor y = empty(x.shape(), x.dtype());
    if (x.numel() == 0) return y;
    const Tensor reversed = view_of(x, x.shape(), strides, offset);
    kernels::copy(y.dtype(), y.impl()->data, y.strides(), x.dtype(), reversed.impl()->data, strides, x.shape());
    return y;
  }
  Grads<1> vjp(const Saved<0>&, const Tensor& dy, Needs<1>) const { return {flip(dy, axes)}; }
  static void cases(Cases& cases) {
    const auto check = [&](const char* label, const Shape& shape, const Axes& axes) {
      cases.add({label,
                 {cases.normal(shape)},
                 [axes](const Tensors& in) { return flip(in[0], axes); },
                 [axes](const Tensors& in) {
                   const naive::Array x(in[0]);
                   return naive::build(x.shape, [&](Shape i) {
                     for (const int axis : axes) i[axis] = x.shape[axis] - 1 - i[axis];
                     return x(i);
                   });
                 }});
    };
    check("rows", {3, 2}, {0});
    check("both", {3, 2}, {0, 1});
    check("empty", {0, 2}, {0});
    cases.refuse(
        "axis", [] { flip(zeros({2}), {1}); }, "axis 1 is out of range");
  }
};

// Keeps elements on one side of a diagonal of the last two axes.
struct Triangle {
  static constexpr std::string_view kName = "triangle";
  static constexpr int kSaved = 0;
  bool upper;
  Index diagonal;
  Tensor forward(Saver<0>&, const Tensor& x) {
    const Index rows = x.size(-2);
    const Index columns = x.size(-1);
    std::vector<double> mask;
    mask.reserve(static_cast<std::size_t>(rows * columns));
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < columns; ++j) mask.push_back((upper ? j - i >= diagonal : j - i <= diagonal) ? 1 : 0);
    return where(tensor(mask, {rows, columns}), x.detach(), scalar(0, x.dtype()));
  }
  Grads<1> vjp(const Saved<0>&, const Tensor& dy, Needs<1>) const {
    return {upper ? triu(dy, diagonal) : tril(dy, diagonal)};
  }
  static void cases(Cases& cases) {
    const auto check = [&](const char* label, const Shape& shape, bool upper, Index diagonal) {
      cases.add({label,
                 {cases.normal(shape)},
                 [=](const Tensors& in) { return upper ? triu(in[0], diagonal) : tril(in[0], diagonal); },
                 [=](const Tensors& in) {
                   const naive::Array x(in[0]);
                   return naive::build(x.shape, [&](const Shape& i) {
                     const Index above = i[i.rank() - 1] - i[i.rank() - 2];
                     return (upper ? above >= diagonal : above <= diagonal) ? x(i) : 0.0;
                   });
                 }});
    };
    check("triu", {3, 4}, true, 0);
    check("tril", {2, 3, 3}, false, 1);
    check("triu below", {4, 2}, true, -2);
    cases.refuse(
        "rank", [] { triu(zeros({3})); }, "at least two axes");
  }
};

// --- composed of the above; the cases say what they mean
// ---------------------------------------------------------------

struct Stack {
  static constexpr std::string_view kName = "stack";
  static void cases(Cases& cases) {
    for (const int axis : {0, 1, -1})
      cases.add({fmt::format("axis {}", axis),
                 {cases.normal({2, 3}), cases.normal({2, 3})},
                 [axis](const Tensors& in) { return stack(in, axis); },
                 [axis](const Tensors& in) {
                   const naive::Array a(in[0]), b(in[1]);
                   const int at = axis < 0 ? 2 : axis;
                   Shape shape = a.shape;
                   shape.insert(at, 2);
                   return naive::build(shape, [&](Shape i) {
                     const bool second = i[at] == 1;
                     i.erase(at);
                     return second ? b(i) : a(i);
                   });
                 }});
    cases.refuse(
        "shapes",
        [] {
          stack({zeros({2}), zeros({3})});
        },
        "shapes differ");
  }
};

struct Pad {
  static constexpr std::string_view kName = "pad";
  static void cases(Cases& cases) {
    cases.add({"with a value",
               {cases.normal({2, 3})},
               [](const Tensors& in) { return pad(in[0], 1, 2, 1, -7); },
               [](const Tensors& in) {
                 const naive::Array x(in[0]);
                 return naive::build({2, 6}, [&](const Shape& i) {
                   return i[1] >= 2 && i[1] < 5 ? x({i[0], i[1] - 2}) : -7.0;
                 });
               }});
    cases.refuse(
        "sizes", [] { pad(zeros({2}), 0, -1, 0); }, "must not be negative");
  }
};

struct Roll {
  static constexpr std::string_view kName = "roll";
  static void cases(Cases& cases) {
    for (const Index shift : {1, -2, 7})
      cases.add({fmt::format("by {}", shift),
                 {cases.normal({5, 2})},
                 [shift](const Tensors& in) { return roll(in[0], shift, 0); },
                 [shift](const Tensors& in) {
                   const naive::Array x(in[0]);
                   return naive::build({5, 2}, [&](const Shape& i) { return x({((i[0] - shift) % 5 + 5) % 5, i[1]}); });
                 }});
    cases.refuse(
        "axis", [] { roll(zeros({2}), 1, 1); }, "axis 1 is out of range");
  }
};

using Family = OpList<Clone, Concat, Flip, Triangle, Stack, Pad, Roll>;

}  // namespace

std::vector<OpInfo> arrange_ops() { return Family::table(); }

}  // namespace ops

using ops::Family;

Tensor clone(const Tensor& x) { return Family::run(ops::Clone{}, x); }
Tensor contiguous(const Tensor& x) { return x.is_contiguous() ? x : clone(x); }

Tensor concat(std::span<const Tensor> parts, int axis) {
  GRADUS_CHECK(!parts.empty(), "concat: nothing to join");
  axis = normalize_axis(axis, parts[0].rank(), "concat");
  for (std::size_t i = 1; i < parts.size(); ++i) {
    GRADUS_CHECK(parts[i].dtype() == parts[0].dtype(), fmt::format("concat: dtypes differ\n  part 0: {}\n  part {}: {}",
                                                                   describe(parts[0]), i, describe(parts[i])));
    bool fits = parts[i].rank() == parts[0].rank();
    for (int k = 0; k < parts[0].rank() && fits; ++k) fits = k == axis || parts[i].shape()[k] == parts[0].shape()[k];
    GRADUS_CHECK(fits, fmt::format("concat: shapes differ outside axis {}\n  part 0: {}\n  part {}: {}", axis,
                                   describe(parts[0]), i, describe(parts[i])));
  }
  return Family::run_list(ops::Concat{axis}, parts);
}
Tensor concat(std::initializer_list<Tensor> parts, int axis) {
  return concat(std::span<const Tensor>(parts.begin(), parts.size()), axis);
}

Tensor stack(std::span<const Tensor> parts, int axis) {
  GRADUS_CHECK(!parts.empty(), "stack: nothing to join");
  Tensors wide;
  for (const Tensor& part : parts) {
    GRADUS_CHECK(part.shape() == parts[0].shape(),
                 fmt::format("stack: shapes differ\n  part 0: {}\n  another: {}", describe(parts[0]), describe(part)));
    wide.push_back(unsqueeze(part, axis));
  }
  return concat(wide, normalize_axis(axis, parts[0].rank() + 1, "stack"));
}
Tensor stack(std::initializer_list<Tensor> parts, int axis) {
  return stack(std::span<const Tensor>(parts.begin(), parts.size()), axis);
}

Tensor pad(const Tensor& x, int axis, Index before, Index after, double value) {
  axis = normalize_axis(axis, x.rank(), "pad");
  GRADUS_CHECK(before >= 0 && after >= 0, fmt::format("pad: sizes must not be negative, got {} and {}", before, after));
  const auto filler = [&](Index size) {
    Shape shape = x.shape();
    shape[axis] = size;
    return full(shape, value, x.dtype());
  };
  return concat({filler(before), x, filler(after)}, axis);
}

Tensor flip(const Tensor& x, const Axes& axes) {
  Axes unique;
  for (const int axis : axes) {
    unique.push_back(normalize_axis(axis, x.rank(), "flip"));
    GRADUS_CHECK(std::count(unique.begin(), unique.end(), unique.back()) == 1,
                 fmt::format("flip: axis {} is named twice", axis));
  }
  return Family::run(ops::Flip{std::move(unique)}, x);
}

Tensor roll(const Tensor& x, Index shift, int axis) {
  axis = normalize_axis(axis, x.rank(), "roll");
  const Index size = x.shape()[axis];
  if (size == 0) return x;
  shift = ((shift % size) + size) % size;
  if (shift == 0) return x;
  return concat({slice(x, axis, size - shift), slice(x, axis, 0, size - shift)}, axis);
}

namespace {
Tensor triangle(const Tensor& x, bool upper, Index diagonal) {
  GRADUS_CHECK(x.rank() >= 2, fmt::format("{}: needs at least two axes, got {}", upper ? "triu" : "tril", describe(x)));
  return Family::run(ops::Triangle{upper, diagonal}, x);
}
}  // namespace
Tensor triu(const Tensor& x, Index diagonal) { return triangle(x, true, diagonal); }
Tensor tril(const Tensor& x, Index diagonal) { return triangle(x, false, diagonal); }

}  // namespace gradus
