// The pictures of a finished run.
#include "apps/common/plot.h"
#include "apps/fashion_mnist/fashion_mnist.h"

#include <fmt/format.h>

#include <algorithm>

namespace gradus::apps {

std::vector<std::string> report_files() { return {"curves.svg", "curves.png", "confusion.png", "samples.png"}; }

std::string draw_report(const std::string& run, const std::string& title, const std::vector<EpochResult>& epochs,
                        const Evaluation& test, const data::Images& images) {
  const std::vector<std::string> classes(data::kFashionMnistClasses.begin(), data::kFashionMnistClasses.end());

  Panel loss{"loss", "epoch", "cross-entropy", {{"train", {}, {}}, {"test", {}, {}}}};
  Panel accuracy{"accuracy", "epoch", "share of images", {{"train", {}, {}}, {"test", {}, {}}}};
  for (std::size_t i = 0; i < epochs.size(); ++i) {
    for (Panel* panel : {&loss, &accuracy})
      for (Series& series : panel->series) series.x.push_back(static_cast<double>(i + 1));
    loss.series[0].y.push_back(epochs[i].train_loss);
    loss.series[1].y.push_back(epochs[i].test_loss);
    accuracy.series[0].y.push_back(epochs[i].train_accuracy);
    accuracy.series[1].y.push_back(epochs[i].test_accuracy);
  }

  std::vector<Index> confusion(static_cast<std::size_t>(kClasses * kClasses));
  for (std::size_t i = 0; i < test.predictions.size(); ++i)
    ++confusion[static_cast<std::size_t>(images.labels[i] * kClasses + test.predictions[i])];

  // The first images as they come, so that the share of mistakes among them is an honest one.
  constexpr Index kTiles = 40;
  constexpr int kColumns = 10;
  std::vector<Tile> tiles;
  for (Index i = 0; i < std::min(kTiles, images.count); ++i) {
    const auto predicted = static_cast<std::size_t>(test.predictions[static_cast<std::size_t>(i)]);
    const std::size_t truth = images.labels[static_cast<std::size_t>(i)];
    const auto pixels = images.image(i);
    tiles.push_back({{pixels.begin(), pixels.end()}, classes[predicted], predicted != truth});
    if (predicted != truth) tiles.back().caption += "\nis " + classes[truth];
  }

  const std::string faults[] = {
      plot_curves(run, "curves", title, {loss, accuracy}),
      plot_confusion(run, "confusion", "Test images: true class and prediction", classes, confusion),
      plot_tiles(run, "samples",
                 fmt::format("The first {} test images and what the model sees in them; mistakes in red", tiles.size()),
                 static_cast<int>(images.rows), kColumns, tiles)};
  for (const auto& fault : faults)
    if (!fault.empty())
      return fmt::format("some pictures are missing: {}; their data and scripts are in {}/plots", fault, run);
  return "";
}

}  // namespace gradus::apps
