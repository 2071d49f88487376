#include "core/file.h"

#include "core/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace gradus {
namespace {

using detail::Descriptor;

constexpr std::size_t kLargestCall = std::size_t{1} << 30;  // Linux moves at most 2 GiB in one call

std::string reason(int error) { return std::generic_category().message(error); }

/// Where the symbolic links of `path` lead, whether or not a file is there.
std::string follow_links(const std::string& path) {
  constexpr int kMaxLinks = 40;  // as in the kernel
  std::error_code none;
  std::filesystem::path target = path;
  for (int i = 0; i < kMaxLinks; ++i) {
    const auto next = std::filesystem::read_symlink(target, none);
    if (none) break;
    target = target.parent_path() / next;
  }
  return target.string();
}

/// One attempt to replace a file. Until the rename has happened, leaving the scope removes the temporary file.
class Replacement {
 public:
  Replacement(const std::string& path, std::uint64_t bytes) : path_(path), bytes_(bytes), target_(follow_links(path)) {
    struct stat old {};
    const bool exists = ::stat(target_.c_str(), &old) == 0;
    if (!exists && errno == ELOOP) give_up(reason(ELOOP));
    // As root, a rename would replace /dev/null itself.
    if (exists && !S_ISREG(old.st_mode)) give_up(S_ISDIR(old.st_mode) ? "it is a folder" : "it is not a regular file");

    // The process id keeps processes apart, the number threads and what a killed process left behind.
    constexpr int kMaxAttempts = 1000;
    std::string name;
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
      name = fmt::format("{}.tmp-{}-{}", target_, ::getpid(), attempt);
      file_ = Descriptor(::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
      if (file_.is_open() || errno != EEXIST) break;
    }
    if (!file_.is_open()) give_up(reason(errno));
    if (exists && ::fchmod(file_.get(), old.st_mode & 0777) != 0) {
      const int error = errno;
      ::unlink(name.c_str());
      give_up(reason(error));
    }
    temporary_ = std::move(name);
  }
  ~Replacement() {
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
  }
  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;

  void write(std::string_view part) {
    while (!part.empty()) {
      const ssize_t written = ::write(file_.get(), part.data(), std::min(part.size(), kLargestCall));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) give_up(reason(written < 0 ? errno : EIO));
      part.remove_prefix(static_cast<std::size_t>(written));
      written_ += static_cast<std::uint64_t>(written);
    }
  }

  void finish() {
    if (::fsync(file_.get()) != 0 || !file_.close()) give_up(reason(errno));
    if (::rename(temporary_.c_str(), target_.c_str()) != 0) give_up(reason(errno));
    temporary_.clear();
    // The new name itself reaches the disk with its folder. Some file systems cannot sync folders and say EINVAL.
    const Descriptor folder(::open(folder_of_target().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.is_open() && ::fsync(folder.get()) != 0 && errno != EINVAL)
      fail(fmt::format("write_file: \"{}\" is written, but its folder could not be brought to the disk: {}", path_,
                       reason(errno)));
  }

 private:
  std::string folder_of_target() const {
    const std::string parent = std::filesystem::path(target_).parent_path().string();
    return parent.empty() ? "." : parent;
  }

  [[noreturn]] void give_up(const std::string& why) const {
    std::string message = fmt::format("write_file: cannot write \"{}\": {}\n  needs {} bytes", path_, why, bytes_);
    if (written_ > 0) message += fmt::format(", {} could be written", written_);
    std::error_code ignored;
    if (const std::string folder = folder_of_target(); !std::filesystem::is_directory(folder, ignored))
      message += fmt::format("\n  there is no folder \"{}\"", folder);
    fail(message + "\n  what was there before is unchanged");
  }

  const std::string& path_;  // as the caller gave it
  std::uint64_t bytes_;
  std::uint64_t written_ = 0;
  std::string target_;     // where path_ leads
  std::string temporary_;  // empty when there is none to remove
  Descriptor file_;
};

}  // namespace

bool detail::Descriptor::close() {
  const int descriptor = std::exchange(descriptor_, -1);
  return descriptor < 0 || ::close(descriptor) == 0;
}

InputFile::InputFile(std::string path) : path_(std::move(path)) {
  // Without O_NONBLOCK, opening a named pipe would wait for a writer.
  file_ = Descriptor(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  GRADUS_CHECK(file_.is_open() && ::fstat(file_.get(), &info) == 0,
               fmt::format("cannot read \"{}\": {}", path_, reason(errno)));
  GRADUS_CHECK(S_ISREG(info.st_mode), fmt::format("cannot read \"{}\": it is {}", path_,
                                                  S_ISDIR(info.st_mode) ? "a folder" : "not a regular file"));
  size_ = static_cast<std::uint64_t>(info.st_size);
}

void InputFile::read(std::span<std::byte> to) {
  while (!to.empty()) {
    const ssize_t count = ::read(file_.get(), to.data(), std::min(to.size(), kLargestCall));
    if (count < 0 && errno == EINTR) continue;
    GRADUS_CHECK(count >= 0, fmt::format("cannot read \"{}\" at byte {}: {}", path_, position_, reason(errno)));
    GRADUS_CHECK(count > 0, fmt::format("\"{}\" ends at byte {}, where {} more were expected\n"
                                        "  it had {} bytes when it was opened",
                                        path_, position_, to.size(), size_));
    to = to.subspan(static_cast<std::size_t>(count));
    position_ += static_cast<std::uint64_t>(count);
  }
}

std::string read_file(const std::string& path, std::uint64_t max_bytes) {
  InputFile file(path);
  GRADUS_CHECK(file.size() <= max_bytes, fmt::format("cannot read \"{}\": it has {} bytes, at most {} are allowed",
                                                     path, file.size(), max_bytes));
  std::string bytes(file.size(), '\0');
  file.read(std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

void write_file(const std::string& path, std::span<const std::string_view> parts) {
  std::uint64_t bytes = 0;
  for (const auto part : parts) bytes += part.size();
  Replacement replacement(path, bytes);
  for (const auto part : parts) replacement.write(part);
  replacement.finish();
}

void write_file(const std::string& path, std::string_view bytes) { write_file(path, std::span(&bytes, 1)); }

}  // namespace gradus
