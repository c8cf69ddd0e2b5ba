// What serving /dev/fuse needs beyond read and write: a descriptor from fusermount3, and one queue per worker.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

#include "errors.h"
#include "topics.h"

namespace {

// linux/fuse.h; named here because older headers lack it.
constexpr unsigned long kCloneDevice = _IOR(229, 0, std::uint32_t);

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

}  // namespace

void export_fuse(Napi::Env env, Napi::Object exports) {
  exports.Set("cloneDevice", Napi::Function::New(env, clone_device, "cloneDevice"));
  exports.Set("socketPair", Napi::Function::New(env, socket_pair, "socketPair"));
  exports.Set("receiveDescriptor", Napi::Function::New(env, receive_descriptor, "receiveDescriptor"));
}
