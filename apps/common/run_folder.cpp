#include "apps/common/run_folder.h"

#include "core/error.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <string_view>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace gradus::apps {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kConfig = "config.json";
constexpr std::string_view kMetrics = "metrics.jsonl";

std::string reason(int error) { return std::generic_category().message(error); }

/// A run has begun in a folder when it has metrics; a lone config.json comes from one that failed before its first
/// step.
bool holds_run(const fs::path& folder) {
  std::error_code ignored;
  return fs::exists(folder / kMetrics, ignored);
}

/// What is in a folder, for the message that refuses it: "a finished run (test_accuracy 0.8969)".
std::string describe_run(const fs::path& folder) {
  constexpr std::uint64_t kLongestLog = 256 << 20;
  try {
    const std::string metrics = read_file((folder / kMetrics).string(), kLongestLog);
    const std::size_t end = metrics.find_last_not_of('\n');
    const std::size_t start = metrics.rfind('\n', end);
    const auto last = nlohmann::ordered_json::parse(metrics.substr(start == metrics.npos ? 0 : start + 1));
    if (last.value("event", "") == "final") {
      const auto accuracy = last.find("test_accuracy");
      return accuracy == last.end() ? "a finished run"
                                    : fmt::format("a finished run (test accuracy {})", accuracy->dump());
    }
  } catch (const std::exception&) {
    // Unreadable or cut off: unfinished, as far as anybody can tell.
  }
  return "an unfinished run";
}

}  // namespace

std::string next_run_folder(const std::string& base) {
  for (int number = 1;; ++number) {
    std::string path = fmt::format("{}-{}", base, number);
    if (!holds_run(path)) return path;
  }
}

RunFolder::RunFolder(std::string path, bool overwrite) : path_(std::move(path)) {
  if (holds_run(path_) && !overwrite)
    fail(
        fmt::format("run folder \"{}\" holds {}\n  nothing was changed\n"
                    "  hint: choose another folder with --out, or give --overwrite to replace it",
                    path_, describe_run(path_)));
  std::error_code error;
  fs::create_directories(path_, error);
  if (error || !fs::is_directory(path_, error))
    fail(fmt::format("cannot make the run folder \"{}\": {}\n  hint: choose another one with --out", path_,
                     reason(error ? error.value() : ENOTDIR)));
}

void RunFolder::begin(const std::string& config, const std::vector<std::string>& outputs) {
  // The settings first: if even these cannot be written, an old run is still whole.
  write_file(file(std::string(kConfig)), config);
  std::error_code ignored;
  for (const auto& name : outputs) fs::remove(file(name), ignored);
  const std::string metrics = file(std::string(kMetrics));
  metrics_ = detail::Descriptor(::open(metrics.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666));
  if (!metrics_.is_open()) fail(fmt::format("cannot write \"{}\": {}", metrics, reason(errno)));
}

std::string RunFolder::file(const std::string& name) const { return (fs::path(path_) / name).string(); }

void RunFolder::log(const nlohmann::ordered_json& line) {
  const std::string text = line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  struct stat before {};
  int error = ::fstat(metrics_.get(), &before) == 0 ? 0 : errno;
  std::string_view rest = text;
  while (error == 0 && !rest.empty()) {
    const ssize_t written = ::write(metrics_.get(), rest.data(), rest.size());
    if (written >= 0)
      rest.remove_prefix(static_cast<std::size_t>(written));
    else if (errno != EINTR)
      error = errno;
  }
  if (error == 0) return;
  const bool cut = ::ftruncate(metrics_.get(), before.st_size) == 0;
  fail(fmt::format("cannot write \"{}\": {}\n  {}", file(std::string(kMetrics)), reason(error),
                   cut ? "the lines before are whole" : "its last line may be cut off"));
}

}  // namespace gradus::apps
