// DataLoader: batches of a data set in a seeded order, the next one filled by a worker thread while you train on this
// one.
//
//   DataLoader loader(set.train, {.batch_size = 128, .shuffle = true, .seed = 1});
//   for (Index epoch = 0; epoch < 10; ++epoch)
//     for (const Batch& batch : loader.epoch(epoch)) train_on(batch.x, batch.y);
#pragma once

#include "core/tensor.h"
#include "data/dataset.h"

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <span>

namespace gradus::data {

struct DataLoaderOptions {
  Index batch_size = 1;
  bool shuffle = false;    // the order of an epoch depends on seed and epoch alone
  bool drop_last = false;  // skip a last batch that is not full
  std::uint64_t seed = 0;
  bool prefetch = true;  // fill the next batch on a worker thread; the batches are the same without
};

/// Where an iteration stands: the number of batches handed out in an epoch. After the last batch: the next epoch, 0.
struct DataLoaderState {
  Index epoch = 0;
  Index batch = 0;

  friend bool operator==(const DataLoaderState&, const DataLoaderState&) = default;
};

/// One thread at a time may use a loader. The data set must outlive it.
class DataLoader {
 public:
  template <Dataset D>
  explicit DataLoader(const D& dataset, const DataLoaderOptions& options = {})
      : DataLoader(Source{&dataset, static_cast<Index>(dataset.size()),
                          [](const void* self, Index count) { return static_cast<const D*>(self)->allocate(count); },
                          [](const void* self, std::span<const Index> indices, Batch& batch) {
                            static_cast<const D*>(self)->fill(indices, batch);
                          }},
                   options) {}
  template <Dataset D>
  explicit DataLoader(const D&& dataset, const DataLoaderOptions& options = {}) = delete;
  ~DataLoader();
  DataLoader(const DataLoader&) = delete;
  DataLoader& operator=(const DataLoader&) = delete;

  class Epoch;
  /// The batches of one epoch, to be iterated once; a batch reference lives until the next step. Starts at the first
  /// batch, or after load_state() where that says. An exception from the data set arrives at the batch that it spoilt.
  Epoch epoch(Index epoch);

  /// Batches in an epoch.
  Index batches() const;
  /// Examples in the data set.
  Index size() const { return source_.size; }
  const DataLoaderOptions& options() const { return options_; }

  /// What to save to go on with the next batch later.
  DataLoaderState state() const { return position_; }
  /// The next epoch() must be the one in `state`, and goes on after the batches that were handed out.
  void load_state(const DataLoaderState& state);

 private:
  class Worker;
  struct Source {  // a data set without its type
    const void* dataset;
    Index size;
    Batch (*allocate)(const void* dataset, Index count);
    void (*fill)(const void* dataset, std::span<const Index> indices, Batch& batch);
  };

  DataLoader(const Source& source, const DataLoaderOptions& options);
  std::span<const Index> next_indices() const;
  void start_next();
  bool advance(std::uint64_t iteration);

  Source source_;
  DataLoaderOptions options_;
  DataLoaderState position_;
  bool resumes_ = false;         // position_ came from load_state() and waits for its epoch()
  std::uint64_t iteration_ = 0;  // epoch() calls so far: tells an abandoned iteration from the current one
  Tensor order_;                 // i64 [size]: the examples in this epoch's order
  Batch current_;                // in the consumer's hands
  Batch next_;                   // being filled; empty when no batch follows
  std::unique_ptr<Worker> worker_;
};

/// A range for `for`.
class DataLoader::Epoch {
 public:
  class Iterator {
   public:
    const Batch& operator*() const { return loader_->current_; }
    const Batch* operator->() const { return &loader_->current_; }
    Iterator& operator++() {
      more_ = loader_->advance(iteration_);
      return *this;
    }
    friend bool operator==(const Iterator& it, std::default_sentinel_t) { return !it.more_; }

   private:
    friend class Epoch;
    Iterator(DataLoader* loader, std::uint64_t iteration) : loader_(loader), iteration_(iteration) { ++*this; }

    DataLoader* loader_;
    std::uint64_t iteration_;
    bool more_ = false;
  };

  Iterator begin() const { return {loader_, iteration_}; }
  std::default_sentinel_t end() const { return {}; }

 private:
  friend class DataLoader;
  Epoch(DataLoader* loader, std::uint64_t iteration) : loader_(loader), iteration_(iteration) {}

  DataLoader* loader_;
  std::uint64_t iteration_;
};

}  // namespace gradus::data
