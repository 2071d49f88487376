#include "apps/common/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace gradus::apps {
namespace {

constexpr auto kRedrawInterval = std::chrono::milliseconds(100);
constexpr int kSmallestBar = 6;
constexpr int kLargestBar = 32;

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

double seconds_between(std::chrono::steady_clock::time_point from, std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

/// `width` cells, filled up to `share`.
std::string draw_cells(double share, int width, const Terminal& terminal) {
  const int filled = std::clamp(static_cast<int>(share * width), 0, width);
  std::string on, off;
  for (int i = 0; i < filled; ++i) on += terminal.unicode ? "━" : "=";
  for (int i = filled; i < width; ++i) off += terminal.unicode ? (terminal.color ? "━" : "─") : "-";
  if (!terminal.color) return terminal.unicode ? on + off : "[" + on + off + "]";
  const std::string bar = "\x1b[32m" + on + "\x1b[90m" + off + "\x1b[0m";
  return terminal.unicode ? bar : "[" + bar + "]";
}

}  // namespace

Terminal detect_terminal() {
  Terminal terminal;
  const std::string_view kind = environment("TERM");
  terminal.bar = ::isatty(STDOUT_FILENO) == 1 && !kind.empty() && kind != "dumb";
  terminal.color = terminal.bar && environment("NO_COLOR").empty();
  // The first of these that is set decides, as in setlocale(3).
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string_view locale = environment(name);
    if (locale.empty()) continue;
    terminal.unicode = locale.find("UTF-8") != locale.npos || locale.find("utf8") != locale.npos;
    break;
  }
  winsize window{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0) terminal.columns = window.ws_col;
  const std::string_view columns = environment("COLUMNS");
  int wanted = 0;
  if (std::from_chars(columns.data(), columns.data() + columns.size(), wanted).ec == std::errc() && wanted > 0)
    terminal.columns = wanted;
  return terminal;
}

std::string format_seconds(double seconds) {
  const auto whole = static_cast<long long>(std::clamp(std::round(seconds), 0.0, 1e9));
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string format_count(double count) {
  std::string digits = fmt::format("{:.0f}", std::max(count, 0.0));
  for (std::ptrdiff_t at = std::ssize(digits) - 3; at > 0; at -= 3) digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

std::string format_bar(const BarState& state, const Terminal& terminal) {
  const double share = state.total > 0 ? static_cast<double>(state.done) / static_cast<double>(state.total) : 0;
  const std::string percent = fmt::format("{:3.0f}%", std::floor(100 * std::min(share, 1.0)));
  const std::string speed =
      state.per_second > 0 ? fmt::format("{} {}/s", format_count(state.per_second), state.unit) : "";
  const std::string left = state.seconds_left >= 0 ? "ETA " + format_seconds(state.seconds_left) : "";

  // From the most to the least that a line may hold; all of it is ASCII, so bytes are columns.
  const std::vector<std::vector<std::string>> choices = {
      {percent, state.fields, speed, left}, {percent, state.fields, left}, {percent, left}, {percent}};
  const int room = terminal.columns - 1;  // a full line would wrap on some terminals
  for (const auto& choice : choices) {
    std::string tail;
    for (const auto& part : choice)
      if (!part.empty()) tail += (tail.empty() ? "" : "  ") + part;
    const int brackets = terminal.unicode ? 0 : 2;
    const int used = static_cast<int>(state.label.size() + tail.size()) + 2 + brackets;
    const int cells = std::min(room - used, kLargestBar);
    if (cells >= kSmallestBar) return state.label + " " + draw_cells(share, cells, terminal) + " " + tail;
  }
  return fmt::format("{} {}", state.label, percent).substr(0, static_cast<std::size_t>(std::max(room, 0)));
}

Progress::Progress(Index parts, Terminal terminal, bool quiet) : terminal_(terminal), quiet_(quiet), parts_(parts) {}

Progress::~Progress() { wipe(); }

void Progress::begin(Index part, std::string label, Index total, std::string unit) {
  part_ = part;
  state_ = {.label = std::move(label), .fields = "", .unit = std::move(unit), .total = total};
  part_start_ = Clock::now();
  next_draw_ = part_start_ + kRedrawInterval;
  if (first_part_ == 0) {
    first_part_ = part;
    run_start_ = part_start_;
  }
}

bool Progress::due() const { return terminal_.bar && !quiet_ && Clock::now() >= next_draw_; }

void Progress::update(Index done, std::string_view fields) {
  if (!due()) return;
  const auto now = Clock::now();
  next_draw_ = now + kRedrawInterval;
  state_.done = done;
  state_.fields = fields;
  state_.per_second = static_cast<double>(done) / std::max(seconds_between(part_start_, now), 1e-9);
  const double parts_done = static_cast<double>(part_ - first_part_) +
                            static_cast<double>(done) / static_cast<double>(std::max<Index>(state_.total, 1));
  const double parts_left = static_cast<double>(parts_ - first_part_ + 1) - parts_done;
  state_.seconds_left = parts_done > 0 ? seconds_between(run_start_, now) * parts_left / parts_done : -1;
  terminal_.columns = detect_terminal().columns;  // the window may have changed
  fmt::print("\r\x1b[K{}", format_bar(state_, terminal_));
  std::fflush(stdout);
  drawn_ = true;
}

void Progress::line(const std::string& text) {
  if (quiet_) return;
  wipe();
  fmt::print("{}\n", text);
  std::fflush(stdout);
}

void Progress::wipe() {
  if (!std::exchange(drawn_, false)) return;
  fmt::print("\r\x1b[K");
  std::fflush(stdout);
}

}  // namespace gradus::apps
