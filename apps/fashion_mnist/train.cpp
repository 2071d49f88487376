// Training: the loop, and what it writes down. The weight file holds the last epoch, not the best one: choosing by the
// test images would flatter the figure.
#include "apps/common/interrupt.h"
#include "apps/common/progress.h"
#include "apps/common/run_folder.h"
#include "apps/fashion_mnist/fashion_mnist.h"
#include "core/memory.h"
#include "core/ops.h"
#include "core/version.h"
#include "data/loader.h"
#include "nn/state.h"
#include "optim/catalog.h"
#include "optim/clip.h"
#include "optim/schedule.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>

namespace gradus::apps {
namespace {

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// What suits each optimizer on this data, then what the user said; `options` receives what was open.
std::unique_ptr<optim::Optimizer> make_optimizer(Options& options, const nn::Sequential& model) {
  optim::OptionList list;
  if (options.optimizer == "sgd") list = {{"lr", "0.1"}, {"momentum", "0.9"}, {"weight_decay", "5e-4"}};
  if (options.optimizer == "adam") list = {{"lr", "1e-3"}};
  if (options.optimizer == "adamw") list = {{"lr", "3e-3"}, {"weight_decay", "0.05"}};
  if (options.lr) list.emplace_back("lr", optim::to_text(*options.lr));
  if (options.weight_decay) list.emplace_back("weight_decay", optim::to_text(*options.weight_decay));
  std::unique_ptr<optim::Optimizer> optimizer;
  try {
    for (const auto& text : options.opt) list.push_back(optim::parse_option(text));
    optimizer = optim::make(options.optimizer, nn::named_parameters(model), list);
  } catch (const Error& error) {
    throw UsageError(error.what());  // all of it comes from the command line
  }
  for (const auto& [key, value] : optimizer->options()) {
    double number = 0;
    if (key == "lr" && optim::from_text(value, number)) options.lr = number;
    if (key == "weight_decay" && optim::from_text(value, number)) options.weight_decay = number;
  }
  return optimizer;
}

/// All that a training step needs.
struct Training {
  nn::Sequential model;
  std::unique_ptr<optim::Optimizer> optimizer;
  optim::Schedule schedule;  // from step to a factor for lr
  data::DataLoader loader;
  double base_lr;

  double lr() const { return base_lr * schedule(optimizer->steps()); }
};

struct EpochMeans {
  double loss, accuracy;  // over the images as they were trained on
  double images_per_second;
};

Index count_correct(const Tensor& logits, const Tensor& labels) {
  const Tensor predicted = argmax(logits);
  Index correct = 0;
  for (std::size_t i = 0; i < labels.data<Index>().size(); ++i)
    correct += predicted.data<Index>()[i] == labels.data<Index>()[i];
  return correct;
}

/// Ends the run because `what` is no number. Called before zero_grad, so the gradients are still those that led here.
[[noreturn]] void stop_not_finite(const Training& training, RunFolder& run, const char* what, double value) {
  const Index step = training.optimizer->steps();
  const double norm = optim::grad_norm(training.optimizer->parameters());
  run.log({{"event", "not_finite"}, {"step", step}, {"lr", training.lr()}, {"gradient_norm", norm}});
  const std::string weights = run.file(kWeightFile);
  fail(fmt::format(
      "{} is {} at step {}; the run stops\n  lr {:.3g}, gradient norm of the step before {:.3g}\n  {}\n  hint: try a "
      "smaller --lr",
      what, std::isnan(value) ? "nan" : "infinite", step, training.lr(), norm,
      std::filesystem::exists(weights) ? fmt::format("\"{}\" holds the weights of the last good epoch", weights)
                                       : "no weights were saved yet"));
}

/// One pass over the training images. Returns early after the step in which Ctrl-C came.
EpochMeans train_epoch(Training& training, Index epoch, RunFolder& run, Progress& progress) {
  auto& [model, optimizer, schedule, loader, base_lr] = training;
  const Stopwatch time;
  double loss_sum = 0, images = 0, correct = 0;
  nn::train(model);
  for (const data::Batch& batch : loader.epoch(epoch - 1)) {
    optimizer->set_lr_scale(schedule(optimizer->steps()));
    const Tensor logits = model(batch.x);  // [batch, classes]
    const Tensor loss = cross_entropy(logits, batch.y);
    if (!std::isfinite(loss.item())) stop_not_finite(training, run, "the loss", loss.item());
    if (optimizer->needs_closure()) {
      optimizer->step([&, &net = model] { return cross_entropy(net(batch.x), batch.y); });
    } else {
      optimizer->zero_grad();
      backward(loss);
      optimizer->step();
    }

    const auto size = static_cast<double>(batch.size());
    images += size;
    loss_sum += loss.item() * size;
    correct += static_cast<double>(count_correct(logits, batch.y));
    if (progress.due())
      progress.update(static_cast<Index>(images),
                      fmt::format("loss {:.4f}  accuracy {:.4f}", loss_sum / images, correct / images));
    if (interrupted()) break;
  }
  return {loss_sum / images, correct / images, images / time.seconds()};
}

}  // namespace

int train(Options& options, const Cli& cli) {
  const auto seed = static_cast<std::uint64_t>(options.seed);
  Rng weights_rng = Rng(seed).split("weights");
  nn::Sequential model = build_model(options.hidden, weights_rng);
  auto optimizer = make_optimizer(options, model);  // wrong options show before anything is read or written
  const Index parameters = nn::parameter_count(model);

  if (options.out.empty()) options.out = next_run_folder("runs/fashion_mnist");
  RunFolder run(options.out, options.overwrite);
  const data::FashionMnist set = load_data(options);

  const data::DataLoaderOptions batches = {.batch_size = options.batch_size, .shuffle = true, .seed = seed};
  const Index steps = options.epochs * ((set.train.size() + options.batch_size - 1) / options.batch_size);
  Training training = {std::move(model), std::move(optimizer),
                       optim::make_schedule(options.schedule, steps, steps / 20), data::DataLoader(set.train, batches),
                       options.lr.value_or(0)};

  std::vector<std::string> outputs = report_files();
  outputs.emplace_back(kWeightFile);
  run.begin(cli.config(), outputs);
  run.log({{"event", "start"},
           {"version", version()},
           {"parameters", parameters},
           {"data", set.dir},
           {"original_data", set.original},
           {"train_images", set.train.size()},
           {"test_images", set.test.size()}});
  Progress progress(options.epochs, detect_terminal(), options.quiet);
  progress.line(fmt::format("{} {}: {} parameters, {}, {} images from {}", options.model,
                            describe_model(options.hidden), format_count(static_cast<double>(parameters)),
                            options.optimizer, format_count(static_cast<double>(set.train.size())), set.dir));

  catch_interrupts();
  memory::reset_peak();
  const Stopwatch time;
  std::vector<EpochResult> results;
  Evaluation test;
  for (Index epoch = 1; epoch <= options.epochs; ++epoch) {
    progress.begin(epoch, fmt::format("epoch {}/{}", epoch, options.epochs), set.train.size(), "images");
    const EpochMeans means = train_epoch(training, epoch, run, progress);
    const Index step = training.optimizer->steps();

    const optim::EvalWeights published(*training.optimizer);  // some methods train one point and publish another
    if (interrupted()) {
      nn::save_weights(training.model, run.file(kWeightFile));
      run.log({{"event", "interrupted"}, {"epoch", epoch}, {"step", step}});
      progress.line(fmt::format("interrupted in epoch {}, after step {}: the weights are in \"{}\"", epoch, step,
                                run.file(kWeightFile)));
      return kExitInterrupted;
    }
    nn::eval(training.model);
    test = evaluate(training.model, set.test);
    if (!std::isfinite(test.loss)) stop_not_finite(training, run, "the test loss", test.loss);
    nn::save_weights(training.model, run.file(kWeightFile));

    results.push_back({means.loss, means.accuracy, test.loss, test.accuracy});
    run.log({{"event", "epoch"},
             {"epoch", epoch},
             {"step", step},
             {"lr", training.lr()},
             {"train_loss", means.loss},
             {"train_accuracy", means.accuracy},
             {"test_loss", test.loss},
             {"test_accuracy", test.accuracy},
             {"images_per_second", means.images_per_second},
             {"seconds", time.seconds()},
             {"peak_bytes", memory::usage().total_peak}});
    progress.line(
        fmt::format("epoch {:>{}}/{}  train loss {:.4f} accuracy {:.4f}  test loss {:.4f} accuracy {:.4f}  {} images/s",
                    epoch, std::to_string(options.epochs).size(), options.epochs, means.loss, means.accuracy, test.loss,
                    test.accuracy, format_count(means.images_per_second)));
  }
  const double seconds = time.seconds();

  const std::string title = fmt::format("Fashion-MNIST, {} {}, {}: test accuracy {:.4f}", options.model,
                                        describe_model(options.hidden), options.optimizer, test.accuracy);
  const std::string notice = draw_report(run.path(), title, results, test, set.test.images());
  if (!notice.empty()) progress.line(notice);
  run.log({{"event", "final"}, {"test_accuracy", test.accuracy}, {"test_loss", test.loss}, {"seconds", seconds}});
  progress.line(fmt::format("trained in {:.1f} s; weights, metrics and pictures are in {}", seconds, run.path()));
  fmt::print("test accuracy: {:.4f}\n", test.accuracy);
  return 0;
}

}  // namespace gradus::apps
