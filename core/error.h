// The one exception type of the library, and the check that raises it.
#pragma once

#include <stdexcept>
#include <string>

namespace gradus {

/// Thrown for every wrong input or broken precondition. what() names the operation, the operands, the rule that was
/// broken with the numbers found, and a hint where one cause is likely. The first line stands on its own.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws Error. Out of line and cold, so that a check costs its caller one comparison.
[[noreturn]] void fail(const std::string& message);

}  // namespace gradus

/// Throws gradus::Error with `message` (any expression convertible to std::string) unless `condition` holds.
/// The message is evaluated only on failure.
#define GRADUS_CHECK(condition, message) \
  do {                                   \
    if (!(condition)) [[unlikely]]       \
      ::gradus::fail(message);           \
  } while (false)
