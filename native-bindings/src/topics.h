// What each file adds to the addon's exports.
#pragma once
#include <napi.h>

void export_mount(Napi::Env env, Napi::Object exports);
void export_fuse(Napi::Env env, Napi::Object exports);
void export_files(Napi::Env env, Napi::Object exports);
void export_packed(Napi::Env env, Napi::Object exports);
void export_gzip(Napi::Env env, Napi::Object exports);
void export_streams(Napi::Env env, Napi::Object exports);
void export_copying(Napi::Env env, Napi::Object exports);
void export_loop(Napi::Env env, Napi::Object exports);
void export_confinement(Napi::Env env, Napi::Object exports);
