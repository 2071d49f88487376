// Files: reading within limits, and writing so that the name holds either the old file or the complete new one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace gradus {

namespace detail {

/// Owns a file descriptor; -1 is none.
class Descriptor {
 public:
  explicit Descriptor(int descriptor = -1) : descriptor_(descriptor) {}
  Descriptor(Descriptor&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Descriptor() { close(); }

  int get() const { return descriptor_; }
  bool is_open() const { return descriptor_ >= 0; }
  /// False when the system reports an error, which is then in errno: the last news about a file that was written.
  bool close();

 private:
  int descriptor_;
};

}  // namespace detail

/// A regular file, open for reading from its start. Anything else (a folder, a device, a pipe) is refused.
/// Every failure is an Error that names the path and the system's reason.
class InputFile {
 public:
  explicit InputFile(std::string path);

  const std::string& path() const { return path_; }
  /// Bytes in the whole file, when it was opened.
  std::uint64_t size() const { return size_; }
  /// Fills `to` with the next bytes; an Error if the file ends before.
  void read(std::span<std::byte> to);

 private:
  std::string path_;
  detail::Descriptor file_;
  std::uint64_t size_ = 0;
  std::uint64_t position_ = 0;
};

/// The whole file. One larger than max_bytes is refused before anything is allocated.
std::string read_file(const std::string& path, std::uint64_t max_bytes);

/// Writes the parts one after another into a temporary file in the same folder, brings it to the disk, and renames it
/// to `path`. A crash at any moment leaves the old file or the new one. On failure (full disk, no permission, ...) the
/// temporary file is removed, the old file stays, and the Error names the path, the reason and the bytes needed.
/// A symbolic link is followed; the folder must exist.
void write_file(const std::string& path, std::span<const std::string_view> parts);
void write_file(const std::string& path, std::string_view bytes);

}  // namespace gradus
