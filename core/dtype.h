// Element types: f32 to train, f64 to check, i64 for indices, bf16 as a storage type.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gradus {

enum class DType : std::uint8_t { f32, f64, i64, bf16 };

/// Upper half of an IEEE binary32: range of a float, 8 bits of precision. Storage only: arithmetic converts to float
/// (`Tensor::to`), so sums accumulate in f32.
struct bf16 {
  std::uint16_t bits = 0;

  bf16() = default;
  explicit bf16(float value) {  // round to nearest, ties to even; NaN stays NaN
    const auto word = std::bit_cast<std::uint32_t>(value);
    const bool is_nan = (word & 0x7fffffffU) > 0x7f800000U;
    bits = static_cast<std::uint16_t>(is_nan ? (word >> 16) | 0x40U : (word + 0x7fffU + ((word >> 16) & 1U)) >> 16);
  }
  explicit operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }
};

constexpr std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::f32: return 4;
    case DType::bf16: return 2;
    default: return 8;
  }
}

/// "f32", "f64", "i64" or "bf16".
std::string_view name_of(DType dtype);

/// True for the types that gradients flow through.
constexpr bool is_floating(DType dtype) { return dtype != DType::i64; }

template <class T>
struct dtype_of_t;
template <>
struct dtype_of_t<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct dtype_of_t<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct dtype_of_t<std::int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct dtype_of_t<bf16> {
  static constexpr DType value = DType::bf16;
};

/// The DType of a C++ element type: dtype_of<float> == DType::f32.
template <class T>
inline constexpr DType dtype_of = dtype_of_t<T>::value;

}  // namespace gradus
