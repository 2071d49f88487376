// Two batches are alive: the consumer has one while the worker fills the other. All memory is allocated and freed by
// the consumer's thread; the worker only writes into it.
#include "data/loader.h"

#include "core/error.h"
#include "core/memory.h"
#include "core/random.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace gradus::data {

// One thread that runs one job at a time. It inherits the floating-point mode (flushed denormals) of the thread that
// makes it, so a batch has the same bits whoever fills it.
class DataLoader::Worker {
 public:
  Worker() : thread_([this] { run(); }) {}
  ~Worker() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Hands over a job; `indices` and `batch` must stay until wait() returns. The worker must be idle.
  void start(const Source& source, std::span<const Index> indices, Batch& batch) {
    {
      const std::lock_guard lock(mutex_);
      source_ = &source;
      indices_ = indices;
      batch_ = &batch;
    }
    changed_.notify_all();
  }

  /// Waits until the worker is idle; throws what the job threw, once.
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !batch_; });
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }
  /// The same for a job whose outcome nobody wants any more.
  void discard() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !batch_; });
    error_ = nullptr;
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return batch_ || stop_; });
      if (stop_) return;
      lock.unlock();
      std::exception_ptr error;
      try {
        source_->fill(source_->dataset, indices_, *batch_);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      error_ = std::move(error);
      batch_ = nullptr;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;  // guards everything below; while batch_ is set, the job's fields belong to the worker
  std::condition_variable changed_;
  const Source* source_ = nullptr;
  std::span<const Index> indices_;
  Batch* batch_ = nullptr;  // null: idle
  std::exception_ptr error_;
  bool stop_ = false;
  std::thread thread_;  // last, so that it starts when the rest is there
};

DataLoader::DataLoader(const Source& source, const DataLoaderOptions& options) : source_(source), options_(options) {
  GRADUS_CHECK(options.batch_size > 0,
               fmt::format("DataLoader: batch_size is {}; expected 1 or more", options.batch_size));
  GRADUS_CHECK(source.size > 0, "DataLoader: the data set is empty; a loader needs at least one example");
  GRADUS_CHECK(batches() > 0,
               fmt::format("DataLoader: drop_last leaves no batch\n  {} examples, batch_size {}\n  hint: a "
                           "smaller batch_size, or drop_last = false",
                           source.size, options.batch_size));
}

DataLoader::~DataLoader() = default;

Index DataLoader::batches() const {
  const Index full = source_.size / options_.batch_size;
  return options_.drop_last || full * options_.batch_size == source_.size ? full : full + 1;
}

void DataLoader::load_state(const DataLoaderState& state) {
  GRADUS_CHECK(
      state.epoch >= 0 && state.batch >= 0 && state.batch <= batches(),
      fmt::format("DataLoader::load_state: epoch {}, batch {} is no place of this loader\n  it has {} batches an "
                  "epoch ({} examples, batch_size {})\n  hint: was the state saved with another data set or "
                  "batch_size?",
                  state.epoch, state.batch, batches(), source_.size, options_.batch_size));
  position_ = state;
  resumes_ = true;
  ++iteration_;
}

DataLoader::Epoch DataLoader::epoch(Index epoch) {
  GRADUS_CHECK(epoch >= 0, fmt::format("DataLoader::epoch: epoch is {}; expected 0 or more", epoch));
  GRADUS_CHECK(
      !resumes_ || epoch == position_.epoch,
      fmt::format("DataLoader::epoch: epoch {} was asked for, but the loaded state stands in epoch {}\n  hint: "
                  "start your loop at loader.state().epoch",
                  epoch, position_.epoch));
  if (options_.prefetch && !worker_) {
    try {
      worker_ = std::make_unique<Worker>();
    } catch (const std::system_error& error) {
      fail(fmt::format("DataLoader: cannot start the worker thread: {}\n  hint: prefetch = false needs none",
                       error.what()));
    }
  }
  if (worker_) worker_->discard();  // an iteration that was left early may still be filling
  current_ = next_ = {};

  const memory::TagScope tag(MemTag::data);
  if (options_.shuffle) {
    Rng rng = Rng(options_.seed).split("shuffle").split(static_cast<std::uint64_t>(epoch));
    order_ = Tensor();
    order_ = randperm(source_.size, rng);
  } else if (!order_) {
    order_ = arange(source_.size);
  }
  if (!resumes_) position_ = {epoch, 0};
  resumes_ = false;
  start_next();
  return {this, ++iteration_};
}

std::span<const Index> DataLoader::next_indices() const {
  const Index begin = position_.batch * options_.batch_size;
  const Index count = std::min(options_.batch_size, source_.size - begin);
  return order_.data<Index>().subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(count));
}

void DataLoader::start_next() {
  if (position_.batch == batches()) return;
  const auto indices = next_indices();
  const memory::TagScope tag(MemTag::data);
  next_ = source_.allocate(source_.dataset, static_cast<Index>(indices.size()));
  if (worker_) worker_->start(source_, indices, next_);
}

bool DataLoader::advance(std::uint64_t iteration) {
  GRADUS_CHECK(
      iteration == iteration_,
      "DataLoader: this iteration ended when epoch() or load_state() was called again\n  hint: nested loops need "
      "a loader each");
  current_ = {};
  if (position_.batch == batches()) {
    position_ = {position_.epoch + 1, 0};
    ++iteration_;
    return false;
  }
  try {
    if (worker_)
      worker_->wait();
    else
      source_.fill(source_.dataset, next_indices(), next_);
  } catch (...) {
    ++iteration_;  // nothing can follow a spoilt batch
    throw;
  }
  current_ = std::exchange(next_, {});
  ++position_.batch;
  start_next();
  return true;
}

}  // namespace gradus::data
