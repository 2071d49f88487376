// fashion_mnist: trains a classifier of clothes on real pictures, evaluates it, and classifies your own.
#include "apps/fashion_mnist/fashion_mnist.h"
#include "core/parallel.h"
#include "optim/catalog.h"
#include "optim/schedule.h"

#include <fmt/core.h>

int main(int argc, char** argv) {
  using namespace gradus;
  using namespace gradus::apps;
  flush_denormals();
  Options options;
  options.threads = num_threads();
  std::string picture;
  bool list_optimizers = false;
  std::vector<std::string> optimizers;
  for (const auto& method : optim::catalog()) optimizers.emplace_back(method.name);

  Cli cli("fashion_mnist", "Trains a classifier of clothes on the 60,000 Fashion-MNIST images.");
  cli.group("Model")
      .add_choice("--model", options.model, {"mlp", "linear"}, "layers with ReLU between, or a single one")
      .add("--hidden", options.hidden, "widths of the hidden layers of mlp", between(1, 65536));
  cli.group("Training")
      .add("--epochs", options.epochs, "passes over the training images", between(1, 100000))
      .add("--batch-size", options.batch_size, "images in a step", between(1, 60000))
      .add_choice("--optimizer", options.optimizer, optimizers, "sgd, adam, adamw, or another of the catalogue")
      .add("--lr", options.lr, "peak learning rate [what suits the optimizer]", above(0))
      .add("--weight-decay", options.weight_decay, "weight decay [what suits the optimizer]", at_least(0))
      .add("--opt", options.opt, "another option of the optimizer; may be repeated", "KEY=VALUE")
      .add("--list-optimizers", list_optimizers, "print the catalogue: name, memory, idea, source")
      .add_choice("--schedule", options.schedule, optim::schedule_names(), "how lr falls over the run")
      .add("--seed", options.seed, "of the first weights and the order of the images", at_least(0));
  cli.group("Run")
      .add("--threads", options.threads, "processors to use; the result does not depend on it", between(1, 1024))
      .add("--data", options.data, "folder with the four IDX files [found or downloaded]", "DIR")
      .add("--out", options.out, "run folder [runs/fashion_mnist-N, the first free N]", "DIR")
      .add("--overwrite", options.overwrite, "replace the run that --out holds")
      .add("--quiet", options.quiet, "print the result only");
  cli.group("Evaluation")
      .add("--eval-only", options.eval_only, "print the test accuracy of --checkpoint, do not train")
      .add("--checkpoint", options.checkpoint, "a run folder, or a .safetensors file", "RUN");

  Cli& classify = cli.command("predict", "name the clothes on a picture of your own: FILE.png --checkpoint RUN");
  classify.add_argument("FILE", picture, "a PNG picture of any size")
      .add("--checkpoint", options.checkpoint, "a run folder, or a .safetensors file", "RUN");

  return cli.run(argc, argv, [&] {
    if (list_optimizers) {
      fmt::print("{}", optim::list_optimizers());
      return 0;
    }
    set_num_threads(static_cast<int>(options.threads));
    const bool needs_checkpoint = classify.chosen() || options.eval_only;
    if (needs_checkpoint && options.checkpoint.empty()) throw UsageError("--checkpoint RUN is needed");
    if (!needs_checkpoint && !options.checkpoint.empty()) throw UsageError("--checkpoint needs --eval-only or predict");
    if (options.model == "linear") {
      if (cli.given("--hidden")) throw UsageError("--model linear has no --hidden layers");
      options.hidden.clear();
    }
    if (classify.chosen()) return predict(picture, options.checkpoint);
    if (options.eval_only) return evaluate_checkpoint(options, cli.given("--model") || cli.given("--hidden"));
    return train(options, cli);
  });
}
