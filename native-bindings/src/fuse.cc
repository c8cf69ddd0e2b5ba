// What serving /dev/fuse needs beyond read and write: a descriptor from fusermount3, and one queue per worker.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>

#include "errors.h"
#include "topics.h"

namespace {

// linux/fuse.h; named here because older headers lack it.
constexpr unsigned long kCloneDevice = _IOR(229, 0, std::uint32_t);

struct BackingMap {
  std::int32_t descriptor;
  std::uint32_t flags;
  std::uint64_t padding;
};
constexpr unsigned long kOpenBacking = _IOW(229, 1, BackingMap);
constexpr unsigned long kCloseBacking = _IOW(229, 2, std::uint32_t);

/// (device) → a second descriptor of the same connection with a queue of its own.
Napi::Value clone_device(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  std::uint32_t device = info[0].As<Napi::Number>().Uint32Value();
  const int clone = check(env, "open", open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (ioctl(clone, kCloneDevice, &device) < 0) {
    const int reason = errno;
    close(clone);
    throw system_error(env, "ioctl", reason);
  }
  return Napi::Number::New(env, clone);
}

/// (device, file) → the number under which the connection knows the file, to be named in replies to OPEN.
Napi::Value open_backing(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const BackingMap map{info[1].As<Napi::Number>().Int32Value(), 0, 0};
  return Napi::Number::New(env, check(env, "ioctl", ioctl(info[0].As<Napi::Number>().Int32Value(), kOpenBacking, &map)));
}

/// (device, number): files that are open keep it.
void close_backing(const Napi::CallbackInfo& info) {
  std::uint32_t number = info[1].As<Napi::Number>().Uint32Value();
  check(info.Env(), "ioctl", ioctl(info[0].As<Napi::Number>().Int32Value(), kCloseBacking, &number));
}

/// () → [ours, theirs]: a connected pair; ours is closed on exec.
Napi::Value socket_pair(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int pair[2];
  check(env, "socketpair", socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  Napi::Array result = Napi::Array::New(env, 2);
  result.Set(0u, Napi::Number::New(env, pair[0]));
  result.Set(1u, Napi::Number::New(env, pair[1]));
  return result;
}

/// (socket) → the descriptor that the other end sent (unix(7), SCM_RIGHTS), or -1 if it closed without sending one.
Napi::Value receive_descriptor(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int socket = info[0].As<Napi::Number>().Int32Value();
  char byte = 0;
  iovec vector{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t received;
  do {
    received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  check(env, "recvmsg", received);
  int descriptor = -1;
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
    std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
  }
  return Napi::Number::New(env, descriptor);
}

/// Whether a worker looks for its next request instead of sleeping. One at a time: the others' processors belong to whoever asks.
std::atomic<bool> looking{false};

/// Reads a request without waiting for one, over and over for `patience` microseconds: waking a sleeping thread costs more than that.
ssize_t read_soon(int device, Napi::Uint8Array& target, std::int64_t patience) {
  if (looking.exchange(true)) {
    errno = EAGAIN;
    return -1;
  }
  const int flags = fcntl(device, F_GETFL);
  fcntl(device, F_SETFL, flags | O_NONBLOCK);
  const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(patience);
  ssize_t length;
  do {
    length = read(device, target.Data(), target.ByteLength());
  } while (length < 0 && errno == EAGAIN && std::chrono::steady_clock::now() < end);
  const int reason = errno;
  fcntl(device, F_SETFL, flags);
  looking = false;
  errno = reason;
  return length;
}

/// (device, target, patience) → the length of the next request, which is then in `target`; -1 when the file system is gone.
/// Waits for one: awake for `patience` microseconds, then asleep.
Napi::Value receive_request(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int device = info[0].As<Napi::Number>().Int32Value();
  auto target = info[1].As<Napi::Uint8Array>();
  const std::int64_t patience = info[2].As<Napi::Number>().Int64Value();
  ssize_t length = patience > 0 ? read_soon(device, target, patience) : -1;
  // ENOENT: the request was interrupted before it could be read.
  while (length < 0 && (patience == 0 || errno == EAGAIN || errno == EINTR || errno == ENOENT)) {
    length = read(device, target.Data(), target.ByteLength());
    if (length < 0 && errno != EAGAIN && errno != EINTR && errno != ENOENT) break;
  }
  if (length < 0 && errno == ENODEV) return Napi::Number::New(env, -1);
  return Napi::Number::New(env, static_cast<double>(check(env, "read", length)));
}

}  // namespace

void export_fuse(Napi::Env env, Napi::Object exports) {
  exports.Set("openBacking", Napi::Function::New(env, open_backing, "openBacking"));
  exports.Set("closeBacking", Napi::Function::New(env, close_backing, "closeBacking"));
  exports.Set("cloneDevice", Napi::Function::New(env, clone_device, "cloneDevice"));
  exports.Set("receiveRequest", Napi::Function::New(env, receive_request, "receiveRequest"));
  exports.Set("socketPair", Napi::Function::New(env, socket_pair, "socketPair"));
  exports.Set("receiveDescriptor", Napi::Function::New(env, receive_descriptor, "receiveDescriptor"));
}
