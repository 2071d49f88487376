#include "core/dtype.h"

namespace gradus {

std::string_view name_of(DType dtype) {
  switch (dtype) {
    case DType::f32: return "f32";
    case DType::f64: return "f64";
    case DType::i64: return "i64";
    case DType::bf16: return "bf16";
  }
  return "unknown";
}

}  // namespace gradus
