// Pictures of a run, drawn by gnuplot (docs/adr/0012-plots.md).
//
// Each function writes RUN/plots/NAME.tsv (the data) and RUN/plots/NAME.gp (the script), then runs gnuplot on the
// script, which makes RUN/NAME.png (and .svg where said). Returns "", or why there is no picture: "gnuplot is not
// installed ...". Data and script remain, so `cd RUN/plots && gnuplot NAME.gp` draws it later.
#pragma once

#include "core/shape.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gradus::apps {

struct Series {
  std::string name;
  std::vector<double> x;
  std::vector<double> y;  // values that are not finite leave a gap
};

struct Panel {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<Series> series;
  bool log_x = false;
  bool log_y = false;
};

/// Line charts side by side, as .svg and .png.
std::string plot_curves(const std::string& run, const std::string& name, const std::string& title,
                        const std::vector<Panel>& panels);

/// A confusion matrix as .png: counts[truth * classes + prediction], cells shaded by their share of the row.
std::string plot_confusion(const std::string& run, const std::string& name, const std::string& title,
                           const std::vector<std::string>& classes, const std::vector<Index>& counts);

/// One picture of a grid, with a caption of one or two lines.
struct Tile {
  std::vector<std::uint8_t> gray;  // side * side levels
  std::string caption;
  bool marked = false;  // framed and captioned in red
};

/// Small gray pictures in rows of `columns`, as .png.
std::string plot_tiles(const std::string& run, const std::string& name, const std::string& title, int side, int columns,
                       const std::vector<Tile>& tiles);

}  // namespace gradus::apps
