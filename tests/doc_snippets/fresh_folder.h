// A working folder for one snippet of the documentation: what it writes disappears with it.
#pragma once

#include <filesystem>
#include <string>
#include <unistd.h>

class FreshFolder {
 public:
  FreshFolder() : before_(std::filesystem::current_path()) {
    std::string path = (std::filesystem::temp_directory_path() / "gradus_snippet_XXXXXX").string();
    if (!mkdtemp(path.data())) throw std::filesystem::filesystem_error("mkdtemp", path, std::error_code());
    folder_ = path;
    std::filesystem::current_path(folder_);
  }
  ~FreshFolder() {
    std::error_code ignored;
    std::filesystem::current_path(before_, ignored);
    std::filesystem::remove_all(folder_, ignored);
  }
  FreshFolder(const FreshFolder&) = delete;
  FreshFolder& operator=(const FreshFolder&) = delete;

 private:
  std::filesystem::path before_, folder_;
};
