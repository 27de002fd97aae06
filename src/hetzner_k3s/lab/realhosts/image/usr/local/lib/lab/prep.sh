#!/bin/sh
# What a kubelet and containerd expect of a machine and a container lacks (docs/facts/lab.md#kubelets).
set -u

for controller in cpu cpuacct cpuset memory pids devices freezer blkio; do
    dir=/sys/fs/cgroup/$controller
    # Without `bind` the kernel answers "mount point is busy".
    [ ! -d "$dir" ] || mount -o remount,bind,rw "$dir" || echo "cannot make $dir writable"
done

[ -e /dev/kmsg ] || ln -s /dev/null /dev/kmsg

# The kubelet insists on these values; the machine's own must not change, so a file with the value lies over each.
mkdir -p /run/lab-sysctl
pretend() {
    path=/proc/sys/$(echo "$1" | tr . /)
    [ "$(cat "$path")" = "$2" ] && return
    echo "$2" >"/run/lab-sysctl/$1"
    mount --bind "/run/lab-sysctl/$1" "$path"
}
pretend vm.overcommit_memory 1
pretend vm.panic_on_oom 0
pretend kernel.panic 10
pretend kernel.panic_on_oops 1
pretend kernel.keys.root_maxkeys 1000000
pretend kernel.keys.root_maxbytes 25000000

mount --make-rshared /
