// What a training shows while it runs: a bar that redraws itself on a terminal, plain lines otherwise.
//
//   Progress progress(epochs, detect_terminal());
//   Progress progress(epochs, detect_terminal());
//   progress.begin(epoch, "epoch 1/12", images, "images");
//   progress.update(done, fmt::format("loss {:.4f}", loss));     // every step: redraws at most ten times a second
//   progress.line("epoch 1/12  test accuracy 0.8712");           // stays
#pragma once

#include "core/shape.h"

#include <chrono>
#include <string>
#include <string_view>

namespace gradus::apps {

/// Where the output goes and what it can show.
struct Terminal {
  bool bar = false;      // a terminal that can redraw a line
  bool color = false;    // not with NO_COLOR
  bool unicode = false;  // the locale's character set is UTF-8
  int columns = 80;
};

/// Standard output now: isatty, TERM, NO_COLOR, COLUMNS, the terminal's size, the locale's variables.
Terminal detect_terminal();

/// What one bar shows.
struct BarState {
  std::string label;   // "epoch 3/12"
  std::string fields;  // "loss 0.3121  accuracy 0.8850"
  std::string unit;    // "images"
  Index done = 0;
  Index total = 0;
  double per_second = 0;     // 0: not known yet
  double seconds_left = -1;  // of the whole run; below 0: not known yet
};

/// The bar as one line of at most columns - 1 characters. What does not fit is left out: first the bar itself shrinks,
/// then the speed, the fields and the time left go.
std::string format_bar(const BarState& state, const Terminal& terminal);

/// "0:07", "12:34", "1:02:03".
std::string format_seconds(double seconds);
/// "1,234,567".
std::string format_count(double count);

/// The progress of a run of `parts` equal parts (epochs, or 1).
class Progress {
 public:
  Progress(Index parts, Terminal terminal, bool quiet = false);
  /// Wipes a bar that is still there.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Starts part number `part` (from 1; a resumed run begins with a later one) of `total` units.
  void begin(Index part, std::string label, Index total, std::string unit);
  bool started() const { return first_part_ > 0; }
  /// Whether a redraw is due: lets the caller skip work for fields that nobody will see.
  bool due() const;
  /// `done` units of this part are through. Costs one look at the clock unless a redraw is due.
  void update(Index done, std::string_view fields);
  /// Prints a line that stays, above the bar. Nothing when quiet.
  void line(const std::string& text);

 private:
  using Clock = std::chrono::steady_clock;

  void wipe();

  Terminal terminal_;
  bool quiet_;
  bool drawn_ = false;
  Index parts_;
  Index part_ = 0;
  Index first_part_ = 0;  // 0: none has begun
  BarState state_;
  Clock::time_point run_start_;
  Clock::time_point part_start_;
  Clock::time_point next_draw_;
};

}  // namespace gradus::apps
