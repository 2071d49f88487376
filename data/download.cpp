#include "data/download.h"

#include "core/error.h"
#include "core/file.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>

extern char** environ;  // POSIX: no header declares it

namespace gradus::data {

namespace {

using detail::Descriptor;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

// A running curl, started without a shell, with its messages going into `errors`. Stalls end it: no connection within
// 20 s, or less than 1000 bytes a second over 30 s. Leaving the scope early ends it too.
class Curl {
 public:
  Curl(const std::string& url, const std::string& file, const Descriptor& errors) {
    const std::array<const char*, 17> arguments = {
        "curl", "--fail",        "--location", "--silent",     "--show-error", "--connect-timeout",
        "20",   "--speed-limit", "1000",       "--speed-time", "30",           "--retry",
        "2",    "--output",      file.c_str(), url.c_str(),    nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, errors.get(), STDERR_FILENO);
    const int error =
        ::posix_spawnp(&child_, "curl", &actions, nullptr, const_cast<char* const*>(arguments.data()), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error == 0) return;
    child_ = -1;
    fail(fmt::format("download: cannot start the program curl: {}\n  it would have fetched {}\n  hint: install curl",
                     std::generic_category().message(error), url));
  }
  ~Curl() {
    if (child_ < 0) return;
    ::kill(child_, SIGTERM);
    wait();
  }
  Curl(const Curl&) = delete;
  Curl& operator=(const Curl&) = delete;

  /// The exit status as waitpid gives it; 0 is success.
  int wait() {
    int status = 0;
    while (::waitpid(child_, &status, 0) < 0 && errno == EINTR) {
    }
    child_ = -1;
    return status;
  }

 private:
  pid_t child_ = -1;
};

// What curl says, until it closes its end; looks at the growing file several times a second.
std::string follow(const Descriptor& messages, const std::string& file, DownloadProgress progress) {
  std::string text;
  for (;;) {
    pollfd waiting{messages.get(), POLLIN, 0};
    const int ready = ::poll(&waiting, 1, progress.update ? 150 : -1);
    struct stat status {};
    if (progress.update && ::stat(file.c_str(), &status) == 0) progress.update(progress.context, status.st_size);
    if (ready <= 0) continue;  // time for another look, or a signal
    std::array<char, 512> buffer;
    const ssize_t count = ::read(messages.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace

std::string cache_dir() {
  if (const std::string dir = variable("GRADUS_CACHE_DIR"); !dir.empty()) return dir;
  // The XDG base directory specification: relative paths are invalid and ignored.
  if (const std::string dir = variable("XDG_CACHE_HOME"); dir.starts_with('/')) return dir + "/gradus";
  if (const std::string home = variable("HOME"); !home.empty()) return home + "/.cache/gradus";
  return "";
}

void download(const std::string& url, const std::string& file, DownloadProgress progress) {
  std::array<int, 2> ends;
  GRADUS_CHECK(::pipe2(ends.data(), O_CLOEXEC) == 0,
               fmt::format("download: no pipe: {}", std::generic_category().message(errno)));
  const Descriptor messages(ends[0]);
  Descriptor errors(ends[1]);
  Curl curl(url, file, errors);
  errors.close();  // now only curl holds the writing end, so its exit ends the reading
  std::string text = follow(messages, file, progress);
  const int status = curl.wait();
  if (status == 0) return;

  std::error_code ignored;
  std::filesystem::remove(file, ignored);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  if (text.empty()) text = fmt::format("curl ended with status {}", status);
  fail(fmt::format("download: fetching {} failed\n  {}", url, text));
}

}  // namespace gradus::data
