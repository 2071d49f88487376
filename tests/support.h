// What many tests need: a folder of their own, and the text of an expected Error.
#pragma once

#include "core/error.h"

#include <filesystem>
#include <string>
#include <system_error>
#include <unistd.h>

namespace gradus::testing {

/// A fresh folder below the system's temporary folder; goes away with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string path = (std::filesystem::temp_directory_path() / "gradus_test_XXXXXX").string();
    if (!mkdtemp(path.data())) throw std::filesystem::filesystem_error("mkdtemp", path, std::error_code());
    folder_ = path;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return folder_; }
  std::string operator/(const std::string& name) const { return (folder_ / name).string(); }
  /// How many files and folders lie in it.
  std::ptrdiff_t entries() const {
    return std::distance(std::filesystem::directory_iterator(folder_), std::filesystem::directory_iterator());
  }

 private:
  std::filesystem::path folder_;
};

/// The text of the Error that f throws, or "no error".
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace gradus::testing
