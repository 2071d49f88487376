// The parts of the app: train, evaluate, predict, and what they share.
#pragma once

#include "apps/common/cli.h"
#include "core/random.h"
#include "data/fashion_mnist.h"
#include "nn/sequential.h"

#include <optional>
#include <string>
#include <vector>

namespace gradus::apps {

inline constexpr Index kPixels = data::kFashionMnistSide * data::kFashionMnistSide;
inline constexpr Index kClasses = static_cast<Index>(data::kFashionMnistClasses.size());
inline constexpr const char* kWeightFile = "model.safetensors";

/// What the command line sets. docs/fashion_mnist.md says how the defaults were chosen.
struct Options {
  std::string model = "mlp";               // or "linear": no hidden layers
  std::vector<Index> hidden = {512, 256};  // their widths

  Index epochs = 12;
  Index batch_size = 256;
  std::string optimizer = "adamw";
  std::optional<double> lr;            // not given: what suits the optimizer
  std::optional<double> weight_decay;  // the same
  std::vector<std::string> opt;        // other options of the optimizer, "key=value"
  std::string schedule = "linear";
  Index seed = 1;

  Index threads = 1;
  std::string data;  // a folder; empty: found or downloaded
  std::string out;   // the run folder; empty: a new one
  bool overwrite = false;
  bool quiet = false;

  bool eval_only = false;
  std::string checkpoint;  // a run folder or a weight file
};

// --- model.cpp ---
/// Linear layers with ReLU between them: kPixels -> hidden... -> kClasses.
nn::Sequential build_model(const std::vector<Index>& hidden, Rng& rng);
/// "784-512-256-10".
std::string describe_model(const std::vector<Index>& hidden);
/// The model of a checkpoint. Without `hidden`, the layers are as wide as the weights in the file say.
nn::Sequential load_model(const std::string& checkpoint, std::optional<std::vector<Index>> hidden = {});

// --- evaluate.cpp ---
struct Evaluation {
  double loss = 0;      // mean cross-entropy
  double accuracy = 0;  // share of images
  std::vector<Index> predictions;
};
Evaluation evaluate(const nn::Sequential& model, const data::ImageDataset& images);
/// The data set from --data, or the published one; a download shows its progress.
data::FashionMnist load_data(const Options& options);
/// --eval-only: prints the test accuracy of a checkpoint.
int evaluate_checkpoint(const Options& options, bool architecture_given);

// --- train.cpp ---
/// Trains and leaves a run folder. Fills in what `options` leaves open, so that cli.config() is the resolved settings.
int train(Options& options, const Cli& cli);

// --- report.cpp ---
struct EpochResult {
  double train_loss, train_accuracy, test_loss, test_accuracy;
};
/// The pictures of a finished run. Returns "", or a line that says why some are missing.
std::string draw_report(const std::string& run, const std::string& title, const std::vector<EpochResult>& epochs,
                        const Evaluation& test, const data::Images& images);
/// What draw_report leaves in the run folder.
std::vector<std::string> report_files();

// --- predict.cpp ---
/// Prints the three likeliest classes of a picture.
int predict(const std::string& picture, const std::string& checkpoint);

}  // namespace gradus::apps
