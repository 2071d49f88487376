#include "apps/common/plot.h"

#include "core/error.h"
#include "core/file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <iterator>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace gradus::apps {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kInk = "#404040";
constexpr std::string_view kRed = "#c1272d";
// Paul Tol's "bright" scheme, which people with any color vision can tell apart.
constexpr std::string_view kColors[] = {"#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377"};

/// A gnuplot string that stands for exactly this text, on one line.
std::string gnuplot_string(std::string_view text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? "''" : c == '\n' ? " " : std::string(1, c);
  return result + "'";
}

std::string number(double value) { return std::isfinite(value) ? fmt::format("{}", value) : "NaN"; }

std::string terminal(std::string_view kind, int width, int height) {
  const std::string_view font = kind == "svg" ? "DejaVu Sans,Verdana,sans-serif" : "DejaVu Sans";
  return fmt::format("set terminal {} noenhanced size {},{} background 'white' font {} fontscale {}\n", kind, width,
                     height, gnuplot_string(font), kind == "svg" ? 0.8 : 0.85);
}

/// Runs `gnuplot NAME.gp` in the folder, without a shell and without the user's settings; its messages go to NAME.log.
/// Returns what went wrong, or "".
std::string run_gnuplot(const fs::path& folder, const std::string& name) {
  const std::string script = name + ".gp", log = name + ".log", directory = folder.string();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, directory.c_str());
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  const char* arguments[] = {"gnuplot", "--default-settings", script.c_str(), nullptr};
  pid_t child = 0;
  const int error = posix_spawnp(&child, "gnuplot", &actions, nullptr, const_cast<char* const*>(arguments), environ);
  posix_spawn_file_actions_destroy(&actions);

  std::error_code ignored;
  if (error == ENOENT) {
    fs::remove(folder / log, ignored);
    return "gnuplot is not installed (Debian: gnuplot-nox)";
  }
  if (error != 0) return fmt::format("gnuplot cannot be started: {}", std::strerror(error));
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    fs::remove(folder / log, ignored);
    return "";
  }
  return fmt::format("gnuplot failed, its words are in \"{}\"", (folder / log).string());
}

/// Writes data and script and draws. Returns what went wrong with the drawing, or "".
std::string draw(const std::string& run, const std::string& name, const std::string& data, const std::string& script) {
  const fs::path folder = fs::path(run) / "plots";
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail(fmt::format("cannot make the folder \"{}\": {}", folder.string(), error.message()));
  write_file((folder / (name + ".tsv")).string(), data);
  write_file((folder / (name + ".gp")).string(), script);
  return run_gnuplot(folder, name);
}

}  // namespace

std::string plot_curves(const std::string& run, const std::string& name, const std::string& title,
                        const std::vector<Panel>& panels) {
  GRADUS_CHECK(!panels.empty(), "plot_curves: needs at least one panel");
  std::string data, plots;
  int block = 0;  // gnuplot's index of a series: blocks are separated by two empty lines
  for (const auto& panel : panels) {
    // The legend goes where the curves have left: above what falls, below what rises.
    const bool rises =
        !panel.series.empty() && !panel.series[0].y.empty() && panel.series[0].y.back() > panel.series[0].y.front();
    plots += fmt::format("\nset key {} right textcolor rgb '{}' samplen 2", rises ? "bottom" : "top", kInk);
    plots += fmt::format("\nset title {}\nset xlabel {}\nset ylabel {}\n{}set logscale x\n{}set logscale y\nplot ",
                         gnuplot_string(panel.title), gnuplot_string(panel.x_label), gnuplot_string(panel.y_label),
                         panel.log_x ? "" : "un", panel.log_y ? "" : "un");
    for (std::size_t i = 0; i < panel.series.size(); ++i) {
      const Series& series = panel.series[i];
      GRADUS_CHECK(series.x.size() == series.y.size(), fmt::format("plot_curves: series \"{}\" has {} x and {} y",
                                                                   series.name, series.x.size(), series.y.size()));
      data += fmt::format("# {}: {}\n", panel.title, series.name);
      for (std::size_t k = 0; k < series.x.size(); ++k) data += number(series.x[k]) + "\t" + number(series.y[k]) + "\n";
      data += "\n\n";
      // Few points are shown as such; of many only the line.
      const bool dots = series.x.size() <= 60;
      plots +=
          fmt::format("{}\\\n  '{}.tsv' index {} using 1:2 with {} linecolor rgb '{}' linewidth 2{} title {}",
                      i ? ", " : "", name, block++, dots ? "linespoints" : "lines", kColors[i % std::size(kColors)],
                      dots ? " pointtype 7 pointsize 0.5" : "", gnuplot_string(series.name));
    }
    plots += "\n";
  }

  const int width = 480 * static_cast<int>(panels.size()), height = 380;
  std::string script = fmt::format(
      "# Draws {0}.svg and {0}.png: cd here and run `gnuplot {0}.gp`.\n"
      "set encoding utf8\n"
      "set border 3 linecolor rgb '#909090'\n"
      "set tics nomirror textcolor rgb '{1}'\n"
      "set grid linecolor rgb '#e4e4e4' linewidth 1 linetype 1\n"
      "set autoscale xfix\n"
      "set offsets graph 0.02, graph 0.02, graph 0.04, graph 0.04\n",
      name, kInk);
  for (const std::string_view kind : {"svg", "pngcairo"}) {
    script += "\n" + terminal(kind, width, height);
    script += fmt::format("set output '../{}.{}'\nset multiplot layout 1,{} title {} textcolor rgb '{}'\n", name,
                          kind == "svg" ? "svg" : "png", panels.size(), gnuplot_string(title), kInk);
    script += plots + "\nunset multiplot\nunset output\n";
  }
  return draw(run, name, data, script);
}

std::string plot_confusion(const std::string& run, const std::string& name, const std::string& title,
                           const std::vector<std::string>& classes, const std::vector<Index>& counts) {
  const std::size_t n = classes.size();
  GRADUS_CHECK(n > 0 && counts.size() == n * n,
               fmt::format("plot_confusion: {} counts are not a square matrix of {} classes", counts.size(), n));
  std::string data = "# prediction\ttruth\tshare of the truth\tcount\n";
  std::string tics;
  for (std::size_t truth = 0; truth < n; ++truth) {
    Index total = 0;
    for (std::size_t i = 0; i < n; ++i) total += counts[truth * n + i];
    for (std::size_t i = 0; i < n; ++i) {
      const Index count = counts[truth * n + i];
      data += fmt::format("{}\t{}\t{}\t{}\n", i, truth,
                          number(total ? static_cast<double>(count) / static_cast<double>(total) : 0), count);
    }
    data += "\n";
    tics += fmt::format("{}{} {}", truth ? ", " : "", gnuplot_string(classes[truth]), truth);
  }
  const int side = 130 + 56 * static_cast<int>(n);
  const std::string script =
      fmt::format("# Draws {0}.png: cd here and run `gnuplot {0}.gp`.\nset encoding utf8\n", name) +
      terminal("pngcairo", side + 30, side) +
      fmt::format(
          "set output '../{0}.png'\n"
          "set title {1} textcolor rgb '{2}'\n"
          "set xlabel 'predicted'\nset ylabel 'true'\n"
          "set xtics ({3}) rotate by -35 textcolor rgb '{2}' scale 0\n"
          "set ytics ({3}) textcolor rgb '{2}' scale 0\n"
          "set xrange [-0.5:{4}.5]\nset yrange [{4}.5:-0.5]\n"
          "set border linecolor rgb '#c0c0c0'\n"
          "set palette defined (0 '#ffffff', 0.02 '#e3eef9', 0.15 '#9ecae1', 0.5 '#4292c6', 1 '#08306b')\n"
          "set cbrange [0:1]\nunset colorbox\nunset key\n"
          "ink(share) = share > 0.4 ? 0xffffff : 0x404040\n"
          "plot '{0}.tsv' using 1:2:3 with image pixels, \\\n"
          "  '' using 1:2:($4 > 0 ? sprintf('%d', $4) : ''):(ink($3)) with labels textcolor rgb variable\n",
          name, gnuplot_string(title), kInk, tics, n - 1);
  return draw(run, name, data, script);
}

std::string plot_tiles(const std::string& run, const std::string& name, const std::string& title, int side, int columns,
                       const std::vector<Tile>& tiles) {
  GRADUS_CHECK(side > 0 && columns > 0 && !tiles.empty(), "plot_tiles: needs a side, columns and tiles");
  const int count = static_cast<int>(tiles.size());
  columns = std::min(columns, count);
  const int rows = (count + columns - 1) / columns;
  const int gap = side / 4, caption = side / 2 + side / 8;  // in the tiles' pixels
  const int step_x = side + gap, step_y = side + caption;
  const int width = columns * step_x, height = rows * step_y;

  // One matrix holds all tiles, on white.
  std::vector<int> canvas(static_cast<std::size_t>(width * height), 255);
  std::string marks;
  for (int i = 0; i < count; ++i) {
    const Tile& tile = tiles[static_cast<std::size_t>(i)];
    GRADUS_CHECK(tile.gray.size() == static_cast<std::size_t>(side * side),
                 fmt::format("plot_tiles: tile {} has {} levels, not {} x {}", i, tile.gray.size(), side, side));
    const int left = i % columns * step_x + gap / 2, top = i / columns * step_y;
    for (int y = 0; y < side; ++y)
      for (int x = 0; x < side; ++x)
        canvas[static_cast<std::size_t>((top + y) * width + left + x)] =
            tile.gray[static_cast<std::size_t>(y * side + x)];
    const std::string_view color = tile.marked ? kRed : kInk;
    if (tile.marked)
      marks += fmt::format(
          "set object rectangle from {},{} to {},{} front fillstyle empty border linecolor rgb '{}' linewidth 3\n",
          left - 0.5, top - 0.5, left + side - 0.5, top + side - 0.5, color);
    const std::size_t line_end = std::min(tile.caption.find('\n'), tile.caption.size());
    const std::string lines[] = {tile.caption.substr(0, line_end),
                                 line_end < tile.caption.size() ? tile.caption.substr(line_end + 1) : ""};
    for (int line = 0; line < 2; ++line)
      if (!lines[line].empty())
        marks += fmt::format("set label {} at {},{} center front textcolor rgb '{}'\n", gnuplot_string(lines[line]),
                             left + side / 2, top + side + caption * (0.2 + 0.32 * line), color);
  }
  std::string data;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      data += (x ? "\t" : "") + std::to_string(canvas[static_cast<std::size_t>(y * width + x)]);
    }
    data += "\n";
  }

  const int scale = std::max(1, 84 / side), margin = 10, title_height = 36;
  const std::string script =
      fmt::format("# Draws {0}.png: cd here and run `gnuplot {0}.gp`.\nset encoding utf8\n", name) +
      terminal("pngcairo", width * scale + 2 * margin, height * scale + title_height) +
      fmt::format(
          "set output '../{0}.png'\n"
          "set title {1} textcolor rgb '{2}'\n"
          "set lmargin at screen {3}\nset rmargin at screen {4}\nset tmargin at screen {5}\nset bmargin at screen 0\n"
          "unset border\nunset tics\nunset colorbox\nunset key\n"
          "set palette gray\nset cbrange [0:255]\n"
          "set xrange [-0.5:{6}]\nset yrange [{7}:-0.5]\n",
          name, gnuplot_string(title), kInk, static_cast<double>(margin) / (width * scale + 2 * margin),
          1 - static_cast<double>(margin) / (width * scale + 2 * margin),
          1 - static_cast<double>(title_height) / (height * scale + title_height), width - 0.5, height - 0.5) +
      marks + fmt::format("plot '{}.tsv' matrix with image\n", name);
  return draw(run, name, data, script);
}

}  // namespace gradus::apps
