// Views: other shapes and strides over the same elements.
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

// Strides for `shape` over the same elements, if a view can have them: each new axis must lie within a run of old axes
// that can be merged.
std::optional<Strides> view_strides(const Tensor& x, const Shape& shape) {
  if (x.is_contiguous()) return row_major(shape);
  Strides strides = Shape::filled(shape.rank(), 0);
  int to = shape.rank() - 1;
  int from = x.rank() - 1;
  while (from >= 0) {
    Index run = x.shape()[from];  // sizes of merged old axes
    const Index step = x.strides()[from];
    while (from > 0 && (run == 1 || x.shape()[from - 1] == 1 || x.strides()[from - 1] == step * run)) {
      if (run == 1) break;
      run *= x.shape()[--from];
    }
    --from;
    Index filled = 1;
    while (to >= 0 && filled < run) {
      strides[to] = step * filled;
      filled *= shape[to--];
    }
    if (filled != run) return std::nullopt;
  }
  return strides;
}

struct Reshape {
  static constexpr std::string_view kName = "reshape";
  static constexpr int kSaved = 0;
  Shape shape;
  Shape before = {};
  Tensor forward(Saver<0>&, const Tensor& x) {
    before = x.shape();
    if (const auto strides = view_strides(x, shape)) return view_of(x, shape, *strides);
    return view_of(clone(x), shape, row_major(shape));
  }
  Grads<1> vjp(const Saved<0>&, const Tensor& dy, Needs<1>) const { return {reshape(dy, before)}; }
  static void cases(Cases& cases) {
    const auto check = [&](const char* label, const Shape& from, const Shape& to) {
      cases.add({label,
                 {cases.normal(from)},
                 [to](const Tensors& in) { return reshape(in[0], to); },
                 [to, from](const Tensors& in) {
                   Shape shape = to;
                   for (int i = 0; i < shape.rank(); ++i)
                     if (shape[i] == -1) shape[i] = from.numel() / -to.numel();
                   return tensor(in[0].to_vector(), shape, DType::f64);
                 }});
    };
    check("merge", {2, 3, 4}, {6, 4});
    check("split", {6, 4}, {2, 3, 2, 2});
    check("infer", {2, 6}, {3, -1});
    check("rank 0", {1, 1}, {});
    check("empty", {0, 3}, {3, 0});
    cases.refuse(
        "count",
        [] {
          reshape(zeros({2, 3}), {4});
        },
        "cannot hold");
    cases.refuse(
        "two unknown",
        [] {
          reshape(zeros({2, 3}), {-1, -1});
        },
        "one size may be -1");
  }
};

struct Permute {
  static constexpr std::string_view kName = "permute";
  static constexpr int kSaved = 0;
  Axes order;
  Tensor forward(Saver<0>&, const Tensor& x) {
    Shape shape = x.shape();
    Strides strides = x.strides();
    for (int i = 0; i < x.rank(); ++i) {
      shape[i] = x.shape()[order[static_cast<std::size_t>(i)]];
      strides[i] = x.strides()[order[static_cast<std::size_t>(i)]];
    }
    return view_of(x, shape, strides);
  }
  Grads<1> vjp(const Saved<0>&, const Tensor& dy, Needs<1>) const {
    Axes back(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) back[static_cast<std::size_t>(order[i])] = static_cast<int>(i);
    return {permute(dy, back)};
  }
  static void cases(Cases& cases) {
    const auto check = [&](const char* label, const Shape& shape, const Axes& order) {
      cases.add({label,
                 {cases.normal(shape)},
                 [order](const Tensors& in) { return permute(in[0], order); },
                 [order](const Tensors& in) {
                   const naive::Array x(in[0]);
                   Shape to = x.shape;
                   for (int i = 0; i < to.rank(); ++i) to[i] = x.shape[order[static_cast<std::size_t>(i)]];
                   return naive::build(to, [&](const Shape& index) {
                     Shape from = index;
                     for (int i = 0; i < to.rank(); ++i) from[order[static_cast<std::size_t>(i)]] = index[i];
                     return x(from);
                   });
                 }});
    };
    check("rotate", {2, 3, 4}, {2, 0, 1});
    check("swap", {3, 4}, {1, 0});
    check("empty", {0, 2}, {1, 0});
    cases.refuse(
        "twice",
        [] {
          permute(zeros({2, 3}), {0, 0});
        },
        "each axis once");
    cases.refuse(
        "axis",
        [] {
          transpose(zeros({2, 3}), 0, 2);
        },
        "axis 2 is out of range");
  }
};

struct Expand {
  static constexpr std::string_view kName = "expand";
  static constexpr int kSaved = 0;
  Shape shape;
  Shape before = {};
  Tensor forward(Saver<0>&, const Tensor& x) {
    before = x.shape();
    Strides strides = Shape::filled(shape.rank(), 0);
    const int extra = shape.rank() - x.rank();
    for (int i = 0; i < x.rank(); ++i) strides[i + extra] = x.shape()[i] == 1 ? 0 : x.strides()[i];
    return view_of(x, shape, strides);
  }
  Grads<1> vjp(const Saved<0>&, const Tensor& dy, Needs<1>) const { return {sum_to(dy, before)}; }
  static void cases(Cases& cases) {
    const auto check = [&](const char* label, const Shape& from, const Shape& to) {
      cases.add({label,
                 {cases.normal(from)},
                 [to](const Tensors& in) { return expand(in[0], to); },
                 [to](const Tensors& in) {
                   const naive::Array x(in[0]);
                   return naive::build(to, [&](const Shape& i) { return x.broadcast(i); });
                 }});
    };
    check("column", {3, 1}, {3, 4});
    check("new axes", {3}, {2, 2, 3});
    check("rank 0", {}, {2, 3});
    check("empty", {1, 3}, {0, 3});
    cases.refuse(
        "sizes",
        [] {
          expand(zeros({3, 2}), {3, 4});
        },
        "does not broadcast to");
  }
};

struct Slice {
  static constexpr std::string_view kName = "slice";
  static constexpr int kSaved = 0;
  int axis;
  Index start, stop, step;  // 0 <= start <= stop <= size
  Index size = 0;
  Tensor forward(Saver<0>&, const Tensor& x) {
    size = x.shape()[axis];
    Shape shape = x.shape();
    Strides strides = x.strides();
    shape[axis] = (stop - start + step - 1) / step;
    strides[axis] *= step;
    return view_of(x, shape, strides, shape[axis] > 0 ? start * x.strides()[axis] : 0);
  }
  Grads<1> vjp(const Saved<0>&, const Tensor& dy, Needs<1>) const;
  static void cases(Cases& cases) {
    const auto check = [&](const char* label, const Shape& shape, int axis, Index start, Index stop, Index step) {
      cases.add({label,
                 {cases.normal(shape)},
                 [=](const Tensors& in) { return slice(in[0], axis, start, stop, step); },
                 [=](const Tensors& in) {
                   const naive::Array x(in[0]);
                   std::vector<Index> kept;
                   const Index size = x.shape[axis];
                   for (Index i = start < 0 ? start + size : start; i < std::min(stop < 0 ? stop + size : stop, size);
                        i += step)
                     kept.push_back(i);
                   Shape to = x.shape;
                   to[axis] = static_cast<Index>(kept.size());
                   return naive::build(to, [&](Shape index) {
                     index[axis] = kept[static_cast<std::size_t>(index[axis])];
                     return x(index);
                   });
                 }});
    };
    check("rows", {5, 3}, 0, 1, 3, 1);
    check("every other column", {3, 6}, 1, 1, 100, 2);
    check("from the back", {5}, 0, -3, -1, 1);
    check("nothing", {5, 2}, 0, 3, 3, 1);
    cases.refuse(
        "step", [] { slice(zeros({4}), 0, 0, 4, 0); }, "step must be positive");
    cases.refuse(
        "start", [] { slice(zeros({4}), 0, 5); }, "start 5 is outside");
  }
};

// The transpose of Slice: zeros with dy at the places that were taken.
struct Unslice {
  static constexpr std::string_view kName = "unslice";
  static constexpr int kSaved = 0;
  Slice taken;
  Tensor forward(Saver<0>&, const Tensor& dy) {
    Shape shape = dy.shape();
    shape[taken.axis] = taken.size;
    Tensor dx = zeros(shape, dy.dtype());
    slice(dx, taken.axis, taken.start, taken.stop, taken.step).copy_(dy);
    return dx;
  }
  Grads<1> vjp(const Saved<0>&, const Tensor& ddx, Needs<1>) const {
    return {slice(ddx, taken.axis, taken.start, taken.stop, taken.step)};
  }
  static void cases(Cases& cases) {
    cases.add({"every other",
               {cases.normal({2, 2})},
               [](const Tensors& in) {
                 return apply(Unslice{Slice{1, 1, 5, 2, 6}}, in[0]);
               },
               [](const Tensors& in) {
                 const naive::Array x(in[0]);
                 return naive::build({2, 6}, [&](const Shape& i) {
                   return i[1] == 1 ? x({i[0], 0}) : i[1] == 3 ? x({i[0], 1}) : 0.0;
                 });
               }});
  }
};

Grads<1> Slice::vjp(const Saved<0>&, const Tensor& dy, Needs<1>) const { return {apply(Unslice{*this}, dy)}; }

// --- composed of the above; the cases say what they mean
// ---------------------------------------------------------------

struct Select {
  static constexpr std::string_view kName = "select";
  static void cases(Cases& cases) {
    cases.add({"from the back",
               {cases.normal({3, 4})},
               [](const Tensors& in) { return select(in[0], 1, -1); },
               [](const Tensors& in) {
                 const naive::Array x(in[0]);
                 return naive::build({3}, [&](const Shape& i) { return x({i[0], 3}); });
               }});
    cases.refuse(
        "position", [] { select(zeros({3}), 0, 3); }, "position 3 is outside");
  }
};

struct Flatten {
  static constexpr std::string_view kName = "flatten";
  static void cases(Cases& cases) {
    cases.add({"all but the first",
               {cases.normal({2, 3, 4})},
               [](const Tensors& in) { return flatten(in[0], 1); },
               [](const Tensors& in) {
                 return tensor(in[0].to_vector(), {2, 12}, DType::f64);
               }});
    cases.refuse(
        "order",
        [] {
          flatten(zeros({2, 3}), 1, 0);
        },
        "comes after");
  }
};

struct Unsqueeze {
  static constexpr std::string_view kName = "unsqueeze";
  static void cases(Cases& cases) {
    cases.add({"and back",
               {cases.normal({2, 3})},
               [](const Tensors& in) { return unsqueeze(squeeze(unsqueeze(in[0], 1), 1), -1); },
               [](const Tensors& in) {
                 return tensor(in[0].to_vector(), {2, 3, 1}, DType::f64);
               }});
    cases.refuse(
        "size",
        [] {
          squeeze(zeros({2, 3}), 0);
        },
        "does not have size 1");
  }
};

struct Split {
  static constexpr std::string_view kName = "split";
  static void cases(Cases& cases) {
    cases.add({"the last part is smaller",
               {cases.normal({2, 5})},
               [](const Tensors& in) {
                 const Tensors parts = split(in[0], 3, 1);
                 return sum(parts[0], {1}) * sum(square(parts[1]), {1});
               },
               [](const Tensors& in) {
                 const naive::Array x(in[0]);
                 return naive::build({2}, [&](const Shape& i) {
                   return (x({i[0], 0}) + x({i[0], 1}) + x({i[0], 2})) *
                          (x({i[0], 3}) * x({i[0], 3}) + x({i[0], 4}) * x({i[0], 4}));
                 });
               }});
    cases.refuse(
        "size", [] { split(zeros({4}), 0); }, "must be positive");
  }
};

using Family = OpList<Reshape, Permute, Expand, Slice, Unslice, Select, Flatten, Unsqueeze, Split>;

}  // namespace

std::vector<OpInfo> view_ops() { return Family::table(); }

}  // namespace ops

using ops::Family;

Tensor reshape(const Tensor& x, const Shape& requested) {
  if (x.shape() == requested) return x;
  Shape shape = requested;
  int unknown = -1;
  Index known = 1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] != -1) {
      known *= shape[i];
      continue;
    }
    GRADUS_CHECK(unknown < 0,
                 fmt::format("reshape: {} has several unknown sizes; only one size may be -1", to_string(requested)));
    unknown = i;
  }
  if (unknown >= 0 && known > 0) shape[unknown] = x.numel() / known;
  GRADUS_CHECK(
      (unknown < 0 || known > 0) && shape.numel() == x.numel(),
      fmt::format("reshape: {} cannot hold the {} elements of {}", to_string(requested), x.numel(), describe(x)));
  return Family::run(ops::Reshape{shape}, x);
}

Tensor flatten(const Tensor& x, int first, int last) {
  if (x.rank() == 0) return reshape(x, {1});
  first = normalize_axis(first, x.rank(), "flatten");
  last = normalize_axis(last, x.rank(), "flatten");
  GRADUS_CHECK(first <= last, fmt::format("flatten: first axis {} comes after last axis {}", first, last));
  Shape shape;
  for (int i = 0; i < x.rank(); ++i) {
    if (i > first && i <= last)
      shape[first] *= x.shape()[i];
    else
      shape.push_back(x.shape()[i]);
  }
  return reshape(x, shape);
}

Tensor permute(const Tensor& x, const Axes& order) {
  Axes axes;
  std::uint32_t seen = 0;
  for (const int axis : order) {
    axes.push_back(normalize_axis(axis, x.rank(), "permute"));
    seen |= 1U << axes.back();
  }
  GRADUS_CHECK(
      static_cast<int>(axes.size()) == x.rank() && seen == (1U << x.rank()) - 1,
      fmt::format("permute: the order must name each axis once; got {} axes for {}", order.size(), describe(x)));
  return Family::run(ops::Permute{std::move(axes)}, x);
}

Tensor transpose(const Tensor& x, int axis0, int axis1) {
  axis0 = normalize_axis(axis0, x.rank(), "transpose");
  axis1 = normalize_axis(axis1, x.rank(), "transpose");
  Axes order(static_cast<std::size_t>(x.rank()));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  std::swap(order[static_cast<std::size_t>(axis0)], order[static_cast<std::size_t>(axis1)]);
  return Family::run(ops::Permute{std::move(order)}, x);
}

Tensor slice(const Tensor& x, int axis, Index start, Index stop, Index step) {
  axis = normalize_axis(axis, x.rank(), "slice");
  const Index size = x.shape()[axis];
  GRADUS_CHECK(step > 0, fmt::format("slice: step must be positive, got {} (see flip)", step));
  GRADUS_CHECK(start >= -size && start <= size,
               fmt::format("slice: start {} is outside axis {} of {}", start, axis, describe(x)));
  if (start < 0) start += size;
  if (stop < 0) stop += size;
  stop = std::clamp(stop, start, size);
  if (start == 0 && stop == size && step == 1) return x;
  return Family::run(ops::Slice{axis, start, stop, step}, x);
}

Tensor select(const Tensor& x, int axis, Index position) {
  axis = normalize_axis(axis, x.rank(), "select");
  const Index size = x.shape()[axis];
  GRADUS_CHECK(position >= -size && position < size,
               fmt::format("select: position {} is outside axis {} of {}", position, axis, describe(x)));
  if (position < 0) position += size;
  return squeeze(slice(x, axis, position, position + 1), axis);
}

Tensor expand(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  GRADUS_CHECK(broadcasts_to(x.shape(), shape),
               fmt::format("expand: {} does not broadcast to {}", describe(x), to_string(shape)));
  return Family::run(ops::Expand{shape}, x);
}

Tensor squeeze(const Tensor& x, int axis) {
  axis = normalize_axis(axis, x.rank(), "squeeze");
  GRADUS_CHECK(x.shape()[axis] == 1, fmt::format("squeeze: axis {} of {} does not have size 1", axis, describe(x)));
  Shape shape = x.shape();
  shape.erase(axis);
  return reshape(x, shape);
}

Tensor unsqueeze(const Tensor& x, int axis) {
  axis = normalize_axis(axis, x.rank() + 1, "unsqueeze");
  Shape shape = x.shape();
  shape.insert(axis, 1);
  return reshape(x, shape);
}

Tensors split(const Tensor& x, Index size, int axis) {
  GRADUS_CHECK(size > 0, fmt::format("split: the size of a part must be positive, got {}", size));
  axis = normalize_axis(axis, x.rank(), "split");
  Tensors parts;
  for (Index at = 0; at < x.shape()[axis]; at += size) parts.push_back(slice(x, axis, at, at + size));
  return parts;
}

}  // namespace gradus
