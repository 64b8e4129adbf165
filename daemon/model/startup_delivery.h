// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The startscope authors

#ifndef STARTSCOPE_DAEMON_MODEL_STARTUP_DELIVERY_H_
#define STARTSCOPE_DAEMON_MODEL_STARTUP_DELIVERY_H_

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "daemon/decode/event.h"
#include "daemon/model/function_names.h"
#include "daemon/model/startup.h"
#include "daemon/model/startup_listener.h"

namespace startscope {

// Holds what is over until what is still to be learnt of its files has been learnt, or for so long
// and no longer, and then tells the listener: what happened in one process in its order, a startup
// before the loader's later activities. Single-threaded; does not own listener and prober.
class StartupDelivery {
 public:
  struct Limits {
    uint64_t patience_ns = 0;
    // Startups, and activities, that wait at once; beyond it the first is told as it is.
    size_t waiting = 0;
  };
  // Some 100,000 functions of C.
  static constexpr size_t kFunctionNamesBytes = size_t{8} << 20;
  StartupDelivery(const Limits& limits, StartupListener* listener, ImageProber* prober)
      : limits_(limits), listener_(listener), prober_(prober) {}

  struct FinishedStartup {
    std::string startup_id;
    WatchMask watches = 0;
    std::optional<MilestoneKind> reached;  // it goes on; otherwise this is its last
    std::set<FileId> facts_awaited;
    // Called once, when the facts are there or the patience is over.
    absl::AnyInvocable<std::shared_ptr<Startup>()> build;
  };
  void Add(FinishedStartup startup, uint64_t now_ns);

  struct FinishedActivity {
    LoaderActivity activity;
    WatchMask watches = 0;
    std::set<FileId> facts_awaited;
    // Called once, before it is told: adds what files say of its objects.
    std::function<void(LoaderActivity*)> complete;
  };
  void Add(FinishedActivity activity, uint64_t now_ns);

  // A file that was asked for has been looked at, or will not be.
  void OnFacts(const FileId& file, uint64_t now_ns);
  // `keep`: the file is watched for changes (ForgetFunctions), so that the names can serve again.
  void OnSymbols(const SymbolsEvent& symbols, bool keep, uint64_t now_ns);
  // What the file held may have changed.
  void ForgetFunctions(const FileId& file) { names_.Forget(file); }
  // Tells what has waited for long enough.
  void Advance(uint64_t now_ns);
  // Startups and activities that were told before all was learnt of their files, because the
  // patience was over or too many waited; and those told in all.
  [[nodiscard]] uint64_t hurried() const { return hurried_; }
  [[nodiscard]] uint64_t told() const { return told_; }
  // What these watches alone asked for is told at once; of the rest they are told no more.
  void Release(WatchMask watches, uint64_t now_ns);

 private:
  struct WaitingStartup {
    FinishedStartup finished;
    uint64_t deadline_ns = 0;
    std::map<FileId, std::vector<uint64_t>> symbols_awaited;  // the offsets asked for, ascending
    std::shared_ptr<Startup> startup;                         // once built
  };
  struct WaitingActivity {
    FinishedActivity finished;
    uint64_t deadline_ns = 0;
  };
  void Proceed(uint64_t now_ns, WatchMask of_watches);
  void ProceedActivities(uint64_t now_ns, WatchMask of_watches);
  // Takes the next step; true when it was told. `held`: an earlier part of it must come first.
  bool TakeStep(WaitingStartup* waiting, bool at_once, bool held);
  // Names the functions that faults happened in as far as they are known, and asks for the others.
  void NameFunctions(WaitingStartup* waiting, bool ask);
  void Tell(const WaitingStartup& waiting);
  void Tell(WaitingActivity* waiting);
  void HurryFirstStartup();
  void HurryFirstActivity();

  const Limits limits_;
  StartupListener* const listener_;
  ImageProber* const prober_;
  FunctionNames names_{kFunctionNamesBytes};
  std::list<WaitingStartup> startups_;
  std::list<WaitingActivity> activities_;
  uint64_t hurried_ = 0;
  uint64_t told_ = 0;
};

}  // namespace startscope

#endif  // STARTSCOPE_DAEMON_MODEL_STARTUP_DELIVERY_H_
