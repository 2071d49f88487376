#include "core/error.h"

namespace gradus {

void fail(const std::string& message) { throw Error(message); }

}  // namespace gradus
