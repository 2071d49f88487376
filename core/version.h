// What was built: for --version and bug reports.
#pragma once

#include <string>

namespace gradus {

/// "0.1.0".
std::string version();

/// Version, compiler, flags, instruction set and library versions, one "name: value" a line.
std::string build_info();

}  // namespace gradus
