// gradus_bench WORK: measures one work for a while and prints one JSON line.
#include "apps/common/cli.h"
#include "bench/works.h"
#include "core/parallel.h"

#include <fmt/format.h>

#include <array>
#include <vector>

namespace {

using namespace gradus;

struct Work {
  const char* name;
  const char* about;
  bench::Json (*run)(const bench::Options&);
};

constexpr std::array kWorks = {
    Work{"dispatch", "a chain of 1,000 recorded ops on 16 floats: nanoseconds an op", bench::dispatch},
    Work{"tiny_mlp", "training steps of a 2-16-16-1 network, SGD", bench::tiny_mlp},
    Work{"fashion_mlp", "training steps of 784-512-256-10 on Fashion-MNIST, Adam, with its floor", bench::fashion_mlp},
    Work{"optim_adamw", "AdamW updates of 10 million parameters", bench::optim_adamw},
    Work{"gemm", "matrix products of training's shapes; a table on stderr", bench::gemm},
};

int run(const std::string& name, const bench::Options& options) {
  std::vector<std::string> names;
  for (const Work& work : kWorks) {
    if (work.name != name) {
      names.emplace_back(work.name);
      continue;
    }
    set_num_threads(options.threads);
    flush_denormals();
    bench::Json line = {{"work", name}, {"threads", options.threads}};
    line.update(work.run(options));
    line["peak_bytes"] = bench::peak_bytes();
    fmt::print("{}\n", line.dump());
    return 0;
  }
  const std::string near = apps::nearest(name, names);
  throw apps::UsageError(fmt::format("unknown work '{}'{}\nvalid: {}", name,
                                     near.empty() ? "" : fmt::format("; did you mean '{}'?", near),
                                     fmt::join(names, ", ")));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string(argv[1]) == "--list") {
    for (const Work& work : kWorks) fmt::print("{:<12} {}\n", work.name, work.about);
    return 0;
  }
  std::string name;
  bench::Options options;
  Index threads = num_threads();
  apps::Cli cli("gradus_bench", "Measures one work and prints one JSON line. --list shows the works.");
  cli.add_argument("WORK", name, "what to measure");
  cli.add("--seconds", options.seconds, "how long", apps::above(0));
  cli.add("--threads", threads, "kernel threads", apps::between(1, 1024));
  cli.add("--data", options.data, "folder with the Fashion-MNIST files", "DIR");
  return cli.run(argc, argv, [&] {
    options.threads = static_cast<int>(threads);
    return run(name, options);
  });
}
