// The training loop.
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
  if (options.optimizer == "adamw") list = {{"lr", "2e-3"}, {"weight_decay", "0.05"}};
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

Index count_correct(const Tensor& logits, const Tensor& labels) {
  const Tensor predicted = argmax(logits);
  Index correct = 0;
  for (std::size_t i = 0; i < labels.data<Index>().size(); ++i)
    correct += predicted.data<Index>()[i] == labels.data<Index>()[i];
  return correct;
}

}  // namespace

int train(Options& options, const Cli& cli) {
  const Rng rng(static_cast<std::uint64_t>(options.seed));
  Rng weights_rng = rng.split("weights");
  nn::Sequential model = build_model(options.hidden, weights_rng);
  const auto optimizer = make_optimizer(options, model);

  if (options.out.empty()) options.out = next_run_folder("runs/fashion_mnist");
  std::vector<std::string> outputs = report_files();
  outputs.emplace_back(kWeightFile);
  RunFolder run(options.out, cli.config(), {.overwrite = options.overwrite, .outputs = outputs});
  const std::string weight_file = run.file(kWeightFile);

  const data::FashionMnist set = load_data(options);
  data::DataLoader loader(
      set.train, {.batch_size = options.batch_size, .shuffle = true, .seed = static_cast<std::uint64_t>(options.seed)});
  const Index total_steps = options.epochs * loader.batches();
  const optim::Schedule schedule = optim::make_schedule(options.schedule, total_steps, total_steps / 20);

  Progress progress(options.epochs, detect_terminal(), options.quiet);
  progress.line(fmt::format("{} {}: {} parameters, {}, {} images from {}", options.model,
                            describe_model(options.hidden),
                            format_count(static_cast<double>(nn::parameter_count(model))), options.optimizer,
                            format_count(static_cast<double>(loader.size())), set.dir));
  run.log({{"event", "start"},
           {"version", version()},
           {"parameters", nn::parameter_count(model)},
           {"data", set.dir},
           {"original_data", set.original},
           {"train_images", set.train.size()},
           {"test_images", set.test.size()},
           {"threads", options.threads}});

  const auto lr = [&] { return *options.lr * schedule(optimizer->steps()); };
  Index saved_epoch = 0;  // the weight file holds the end of this epoch
  const auto stop_not_finite = [&](const char* what, double value, Index epoch) {
    const double norm = optim::grad_norm(optimizer->parameters());
    run.log({{"event", "not_finite"}, {"step", optimizer->steps()}, {"lr", lr()}, {"gradient_norm", norm}});
    fail(fmt::format(
        "{} is {} at step {} (epoch {}); the run stops\n  lr {:.3g}, gradient norm of the step before {:.3g}\n"
        "  {}\n  hint: try a smaller --lr",
        what, value, optimizer->steps(), epoch, lr(), norm,
        saved_epoch > 0 ? fmt::format("\"{}\" holds the weights after epoch {}", weight_file, saved_epoch)
                        : "no weights were saved yet"));
  };

  catch_interrupts();
  memory::reset_peak();
  const Stopwatch run_time;
  std::vector<EpochResult> results;
  Evaluation test;
  double seconds_training = 0;
  for (Index epoch = 1; epoch <= options.epochs; ++epoch) {
    const Stopwatch epoch_time;
    double loss_sum = 0;
    Index seen = 0, correct = 0;
    progress.begin(epoch, fmt::format("epoch {}/{}", epoch, options.epochs), loader.size(), "images");
    nn::train(model);
    for (const data::Batch& batch : loader.epoch(epoch - 1)) {
      optimizer->set_lr_scale(schedule(optimizer->steps()));
      const Tensor logits = model(batch.x);  // [batch, classes]
      const Tensor loss = cross_entropy(logits, batch.y);
      // Before zero_grad: the gradients are still those that led here.
      if (!std::isfinite(loss.item())) stop_not_finite("the loss", loss.item(), epoch);
      if (optimizer->needs_closure()) {
        optimizer->step([&] { return cross_entropy(model(batch.x), batch.y); });
      } else {
        optimizer->zero_grad();
        backward(loss);
        optimizer->step();
      }

      loss_sum += loss.item() * static_cast<double>(batch.size());
      correct += count_correct(logits, batch.y);
      seen += batch.size();
      const double images = static_cast<double>(seen);
      if (progress.due())
        progress.update(seen, fmt::format("loss {:.4f}  accuracy {:.4f}", loss_sum / images,
                                          static_cast<double>(correct) / images));
      if (interrupted()) break;
    }
    const double seconds = epoch_time.seconds();
    seconds_training += seconds;

    const optim::EvalWeights published(*optimizer);  // of methods that train one point and publish another
    if (interrupted()) {
      nn::save_weights(model, weight_file);
      run.log({{"event", "interrupted"}, {"epoch", epoch}, {"step", optimizer->steps()}});
      progress.line(fmt::format("interrupted in epoch {}, after step {}: the weights are in \"{}\"", epoch,
                                optimizer->steps(), weight_file));
      return kExitInterrupted;
    }
    nn::eval(model);
    test = evaluate(model, set.test);
    if (!std::isfinite(test.loss)) stop_not_finite("the test loss", test.loss, epoch);
    nn::save_weights(model, weight_file);
    saved_epoch = epoch;

    const double images = static_cast<double>(seen);
    results.push_back({loss_sum / images, static_cast<double>(correct) / images, test.loss, test.accuracy});
    const EpochResult& result = results.back();
    run.log({{"event", "epoch"},
             {"epoch", epoch},
             {"step", optimizer->steps()},
             {"lr", lr()},
             {"train_loss", result.train_loss},
             {"train_accuracy", result.train_accuracy},
             {"test_loss", result.test_loss},
             {"test_accuracy", result.test_accuracy},
             {"images_per_second", images / seconds},
             {"seconds", run_time.seconds()},
             {"peak_bytes", memory::usage().total_peak}});
    progress.line(
        fmt::format("epoch {:>{}}/{}  train loss {:.4f} accuracy {:.4f}  test loss {:.4f} accuracy {:.4f}  {} images/s",
                    epoch, std::to_string(options.epochs).size(), options.epochs, result.train_loss,
                    result.train_accuracy, result.test_loss, result.test_accuracy, format_count(images / seconds)));
  }
  const double seconds = run_time.seconds();

  const std::string title = fmt::format("Fashion-MNIST, {} {}, {}: test accuracy {:.4f}", options.model,
                                        describe_model(options.hidden), options.optimizer, test.accuracy);
  for (const auto& line : draw_report(run.path(), title, results, test, set.test.images())) progress.line(line);
  run.log({{"event", "final"},
           {"test_accuracy", test.accuracy},
           {"test_loss", test.loss},
           {"seconds", seconds},
           {"images_per_second", static_cast<double>(options.epochs * loader.size()) / seconds_training},
           {"peak_bytes", memory::usage().total_peak}});
  progress.line(fmt::format("trained in {:.1f} s; weights, metrics and pictures are in {}", seconds, run.path()));
  fmt::print("test accuracy: {:.4f}\n", test.accuracy);
  return 0;
}

}  // namespace gradus::apps
