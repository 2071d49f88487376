#include "core/kernels/copy.h"

#include "core/kernels/loop.h"

#include <algorithm>
#include <cstring>

namespace gradus::kernels {
namespace {

template <class To, class From>
To convert(From value) {
  if constexpr (std::is_same_v<To, From>)
    return value;
  else if constexpr (std::is_same_v<To, bf16>)
    return bf16(static_cast<float>(value));
  else if constexpr (std::is_same_v<From, bf16>)
    return static_cast<To>(static_cast<float>(value));
  else
    return static_cast<To>(value);
}

template <class F>
void with_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32: return f.template operator()<float>();
    case DType::f64: return f.template operator()<double>();
    case DType::i64: return f.template operator()<std::int64_t>();
    case DType::bf16: return f.template operator()<bf16>();
  }
}

}  // namespace

void fill(DType dtype, void* data, Index count, double value) {
  with_type(dtype, [&]<class T>() {
    const T element = convert<T>(value);
    T* out = static_cast<T*>(data);
    parallel_for(count, kChunk, [&](Index begin, Index end) { std::fill(out + begin, out + end, element); });
  });
}

void copy(DType to_dtype, void* to, const Strides& to_strides, DType from_dtype, const void* from,
          const Strides& from_strides, const Shape& shape) {
  const auto nest = merge_axes<2>(shape, {&to_strides, &from_strides});
  with_type(to_dtype, [&]<class To>() {
    with_type(from_dtype, [&]<class From>() {
      for_each_row(nest, [&](const auto& offsets, Index count, const auto& steps) {
        To* target = static_cast<To*>(to) + offsets[0];
        const From* source = static_cast<const From*>(from) + offsets[1];
        if (steps[0] == 1 && steps[1] == 1)
          for (Index i = 0; i < count; ++i) target[i] = convert<To>(source[i]);
        else
          for (Index i = 0; i < count; ++i) target[i * steps[0]] = convert<To>(source[i * steps[1]]);
      });
    });
  });
}

}  // namespace gradus::kernels
