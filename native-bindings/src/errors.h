// System errors as JavaScript sees those of node:fs: `code`, `errno`, `syscall`.
#pragma once
#include <napi.h>

#include <cerrno>

/// The error for `number`, thrown by `call`.
Napi::Error system_error(Napi::Env env, const char* call, int number);

/// `result`, or the error in errno if it is negative.
template <typename Result>
Result check(Napi::Env env, const char* call, Result result) {
  if (result < 0) throw system_error(env, call, errno);
  return result;
}
