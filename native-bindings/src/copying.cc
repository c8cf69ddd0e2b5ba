// Copies that the kernel makes: shared blocks (ioctl_ficlonerange(2)) and copy_file_range(2).
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "errors.h"
#include "topics.h"

namespace {

std::int64_t integer(const Napi::CallbackInfo& info, int index) { return info[index].As<Napi::Number>().Int64Value(); }

/// (source, from, target, to, length) → whether the file systems can.
Napi::Value clone_range(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  file_clone_range range{};
  range.src_fd = integer(info, 0);
  range.src_offset = static_cast<__u64>(integer(info, 1));
  range.dest_offset = static_cast<__u64>(integer(info, 3));
  range.src_length = static_cast<__u64>(integer(info, 4));
  if (ioctl(static_cast<int>(integer(info, 2)), FICLONERANGE, &range) == 0) return Napi::Boolean::New(env, true);
  switch (errno) {
    case EOPNOTSUPP:
    case EXDEV:
    case EINVAL:
    case ENOTTY:
    case ETXTBSY:
    case EPERM:
      return Napi::Boolean::New(env, false);
    default:
      throw system_error(env, "ioctl", errno);
  }
}

/// (source, from, target, to, length) → bytes; 0 at the source's end, -1 where these two files cannot.
Napi::Value copy_range(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  off_t from = integer(info, 1);
  off_t to = integer(info, 3);
  const auto length = static_cast<std::size_t>(integer(info, 4));
  ssize_t copied;
  do {
    copied = copy_file_range(static_cast<int>(integer(info, 0)), &from, static_cast<int>(integer(info, 2)), &to, length, 0);
  } while (copied < 0 && errno == EINTR);
  if (copied < 0 && errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS) {
    throw system_error(env, "copy_file_range", errno);
  }
  return Napi::Number::New(env, static_cast<double>(copied));
}

}  // namespace

void export_copying(Napi::Env env, Napi::Object exports) {
  exports.Set("cloneRange", Napi::Function::New(env, clone_range, "cloneRange"));
  exports.Set("copyRange", Napi::Function::New(env, copy_range, "copyRange"));
}
