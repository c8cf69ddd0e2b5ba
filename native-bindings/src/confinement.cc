// What threads give up: privileges (prctl(2), capabilities(7), setresuid(2)) and files (landlock(7)). The kernel keeps all of it by thread, so each one has to do
// it by itself: where all are meant, they are sent a signal.
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "errors.h"
#include "topics.h"

namespace {

// linux/landlock.h; named here because older headers lack it. The numbers are the same everywhere.
constexpr long kCreateRuleset = 444;
constexpr long kAddRule = 445;
constexpr long kRestrictSelf = 446;
constexpr unsigned kRulesetVersion = 1;
constexpr int kPathBeneath = 1;

struct RulesetAttributes {
  std::uint64_t files;
  std::uint64_t network;
  std::uint64_t scopes;
};

struct [[gnu::packed]] PathBeneath {
  std::uint64_t allowed;
  std::int32_t parent;
};

/// What a thread is to become. No thread may be left without it, so it outlives the call.
struct Plan {
  /// -1: files stay as they are.
  int ruleset = -1;
  /// Capabilities, all of which are below 32.
  std::uint32_t permitted = 0;
  std::uint32_t effective = 0;
  bool changes_owner = false;
  uid_t user = 0;
  gid_t group = 0;
  std::vector<gid_t> groups;
};

struct Failure {
  const char* call;
  int number;
};

/// Numbers that no thread has: success.
constexpr Failure kDone{nullptr, 0};

long set_capabilities(std::uint32_t permitted, std::uint32_t effective) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct now[_LINUX_CAPABILITY_U32S_3]{};
  if (syscall(SYS_capget, &header, now) < 0) return -1;
  __user_cap_data_struct wanted[_LINUX_CAPABILITY_U32S_3]{};
  wanted[0].permitted = now[0].permitted & permitted;
  wanted[0].effective = now[0].permitted & permitted & effective;
  return syscall(SYS_capset, &header, wanted);
}

/// Whoever may not (CAP_SETPCAP) has nothing to lose by it.
void shrink_bounding_set(std::uint32_t kept) {
  for (unsigned capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability += 1) {
    if (capability >= 32 || (kept >> capability & 1) == 0) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  }
}

/// System calls alone, of this thread alone: those of the C library would reach all threads, or wait for a lock that the interrupted code holds.
Failure become(const Plan& plan) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return {"prctl", errno};
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  shrink_bounding_set(plan.permitted);
  if (plan.changes_owner) {
    prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
    if (syscall(SYS_setgroups, plan.groups.size(), plan.groups.data()) < 0) return {"setgroups", errno};
    if (syscall(SYS_setresgid, plan.group, plan.group, plan.group) < 0) return {"setresgid", errno};
    if (syscall(SYS_setresuid, plan.user, plan.user, plan.user) < 0) return {"setresuid", errno};
    prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
  }
  if (plan.ruleset >= 0 && syscall(kRestrictSelf, plan.ruleset, 0) < 0) return {"landlock_restrict_self", errno};
  if (set_capabilities(plan.permitted, plan.effective) < 0) return {"capset", errno};
  return kDone;
}

/// The C library's own, for the same purpose: the only one that no thread ever blocks. Its handler is put back.
constexpr int kSignal = 33;
/// The kernel's sigset_t, in bytes.
constexpr std::size_t kSignalSet = 8;
/// Room for the kernel's struct sigaction.
using KernelAction = std::uint64_t[8];

Plan everyones;
std::atomic<int> answered{0};
std::atomic<const char*> failed_call{nullptr};
std::atomic<int> failed_number{0};

void on_signal(int, siginfo_t* info, void*) {
  if (info->si_code != SI_TKILL || info->si_pid != getpid()) return;
  const int before = errno;
  const Failure failure = become(everyones);
  if (failure.call != nullptr) {
    failed_number = failure.number;
    failed_call = failure.call;
  }
  errno = before;
  answered.fetch_add(1);
}

std::vector<int> threads_of_ours() {
  std::vector<int> found;
  DIR* folder = opendir("/proc/self/task");
  if (folder == nullptr) return found;
  while (const dirent* entry = readdir(folder)) {
    const int thread = std::atoi(entry->d_name);
    if (thread > 0) found.push_back(thread);
  }
  closedir(folder);
  return found;
}

/// A thread that does not answer is in the kernel, on its way to a disk: it will have answered before it is back.
constexpr std::chrono::milliseconds kPatience{200};

/// Whether the thread has answered, or is gone.
bool ask(int thread) {
  const int goal = answered + 1;
  if (syscall(SYS_tgkill, getpid(), thread, kSignal) < 0) return true;
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (int tries = 0; answered < goal; tries += 1) {
    if (tries < 50) {
      sched_yield();
      continue;
    }
    if (syscall(SYS_tgkill, getpid(), thread, 0) < 0) return true;
    if (std::chrono::steady_clock::now() > end) return false;
    const timespec moment{0, 50'000};
    nanosleep(&moment, nullptr);
  }
  return true;
}

/// The handler as the kernel has it, with what the C library adds to each.
void read_action(KernelAction& action) {
  struct sigaction mine {};
  mine.sa_sigaction = on_signal;
  mine.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigfillset(&mine.sa_mask);
  struct sigaction before;
  sigaction(SIGRTMAX, &mine, &before);
  syscall(SYS_rt_sigaction, SIGRTMAX, nullptr, action, kSignalSet);
  sigaction(SIGRTMAX, &before, nullptr);
}

/// All threads but this one. How many did not answer yet.
int tell_others() {
  KernelAction mine{};
  KernelAction before{};
  read_action(mine);
  syscall(SYS_rt_sigaction, kSignal, mine, before, kSignalSet);
  const int self = static_cast<int>(syscall(SYS_gettid));
  std::set<int> asked{self};
  int silent = 0;
  // Those that were started meanwhile by one that had not been asked are found the next time round.
  for (bool found = true; found;) {
    found = false;
    for (const int thread : threads_of_ours()) {
      if (!asked.insert(thread).second) continue;
      found = true;
      if (!ask(thread)) silent += 1;
    }
  }
  // What is still to come must find this handler.
  if (silent == 0) syscall(SYS_rt_sigaction, kSignal, before, nullptr, kSignalSet);
  return silent;
}

Plan plan_of(const Napi::CallbackInfo& info) {
  Plan plan;
  plan.ruleset = info[0].As<Napi::Number>().Int32Value();
  plan.permitted = info[1].As<Napi::Number>().Uint32Value();
  plan.effective = info[2].As<Napi::Number>().Uint32Value();
  const auto owner = info[3].As<Napi::Uint32Array>();
  if (owner.ElementLength() < 2) return plan;
  plan.changes_owner = true;
  plan.user = owner[0];
  plan.group = owner[1];
  for (std::size_t index = 2; index < owner.ElementLength(); index += 1) plan.groups.push_back(owner[index]);
  return plan;
}

/// (ruleset, permitted, effective, [user, group, groups…]): this thread.
void restrict_thread(const Napi::CallbackInfo& info) {
  const Failure failure = become(plan_of(info));
  if (failure.call != nullptr) throw system_error(info.Env(), failure.call, failure.number);
}

/// The same for all other threads → how many will only do so when they are back from the kernel.
Napi::Value restrict_others(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  everyones = plan_of(info);
  failed_call = nullptr;
  const int silent = tell_others();
  const char* call = failed_call;
  if (call != nullptr) throw system_error(env, call, failed_number);
  return Napi::Number::New(env, silent);
}

/// (effective): of those that this thread is permitted.
void use_capabilities(const Napi::CallbackInfo& info) {
  check(info.Env(), "capset", set_capabilities(UINT32_MAX, info[0].As<Napi::Number>().Uint32Value()));
}

/// () → what the kernel's Landlock can, 0 where it has none.
Napi::Value landlock_version(const Napi::CallbackInfo& info) {
  const long version = syscall(kCreateRuleset, nullptr, 0, kRulesetVersion);
  return Napi::Number::New(info.Env(), version < 0 ? 0 : static_cast<double>(version));
}

/// (size, files, network, scopes) → the descriptor of a ruleset that forbids these.
Napi::Value create_ruleset(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::size_t size = info[0].As<Napi::Number>().Uint32Value();
  const RulesetAttributes attributes{info[1].As<Napi::Number>().Uint32Value(), info[2].As<Napi::Number>().Uint32Value(),
                                     info[3].As<Napi::Number>().Uint32Value()};
  const long ruleset = syscall(kCreateRuleset, &attributes, size, 0);
  return Napi::Number::New(env, static_cast<double>(check(env, "landlock_create_ruleset", ruleset)));
}

/// (ruleset, path, allowed): the file, or what is below the folder.
void allow_beneath(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string path = info[1].As<Napi::String>();
  const int parent = check(env, "open", open(path.c_str(), O_PATH | O_CLOEXEC));
  const PathBeneath rule{info[2].As<Napi::Number>().Uint32Value(), parent};
  const long result = syscall(kAddRule, info[0].As<Napi::Number>().Int32Value(), kPathBeneath, &rule, 0);
  const int reason = errno;
  close(parent);
  if (result < 0) throw system_error(env, "landlock_add_rule", reason);
}

}  // namespace

void export_confinement(Napi::Env env, Napi::Object exports) {
  exports.Set("restrictThread", Napi::Function::New(env, restrict_thread, "restrictThread"));
  exports.Set("restrictOthers", Napi::Function::New(env, restrict_others, "restrictOthers"));
  exports.Set("useCapabilities", Napi::Function::New(env, use_capabilities, "useCapabilities"));
  exports.Set("landlockVersion", Napi::Function::New(env, landlock_version, "landlockVersion"));
  exports.Set("createRuleset", Napi::Function::New(env, create_ruleset, "createRuleset"));
  exports.Set("allowBeneath", Napi::Function::New(env, allow_beneath, "allowBeneath"));
}
