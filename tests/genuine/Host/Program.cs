// Runs the Durable Task extension with functions that are elsewhere.
//
//   Host FUNCTIONS_JSON WORKER_URL HUB
//
// FUNCTIONS_JSON is a file: [{"name": "Hello", "kind": "activity"}, ...], where a kind is orchestrator,
// activity or entity. Each becomes a function with a text trigger, as the Functions host makes one for a
// language worker. To run it, the trigger's text is posted to WORKER_URL/invoke/KIND/NAME. The answer is
//
//   200  the JSON text of what the function gave,
//   204  nothing,
//   500  {"message": "ValueError: boom", "stack": "..."}: the function has failed.
//
// When everything runs, a line says where the extension listens for SDK clients: READY http://...
//
// Environment: AzureWebJobsStorage (a connection string), DURABLE_WEBHOOK (the address under which
// clients find the management API, with its key as ?code=), DURABLE_HOST_JSON (the app's host.json).
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Http;
using System.Reflection;
using System.Reflection.Emit;
using System.Text;
using System.Threading.Tasks;
using Microsoft.Azure.WebJobs;
using Microsoft.Azure.WebJobs.Extensions.DurableTask;
using Microsoft.Azure.WebJobs.Host.Config;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace GenuineHost
{
    public static class Program
    {
        public static async Task<int> Main(string[] arguments)
        {
            if (arguments.Length != 3)
            {
                Console.Error.WriteLine("usage: Host FUNCTIONS_JSON WORKER_URL HUB");
                return 2;
            }

            Type functions = Declarations.Read(arguments[0]);
            Worker.Url = arguments[1].TrimEnd('/');
            using (IHost host = Build(functions, arguments[2]))
            {
                await host.StartAsync();
                Console.WriteLine("READY " + Hidden.ListenerOf(host.Services));
                await host.WaitForShutdownAsync();
            }

            return 0;
        }

        private static IHost Build(Type functions, string hub)
        {
            return new HostBuilder()
                .UseEnvironment(Environments.Development)
                .ConfigureAppConfiguration(configuration => configuration.AddEnvironmentVariables())
                .ConfigureLogging(logging =>
                {
                    logging.SetMinimumLevel(LogLevel.Warning);
                    logging.AddSimpleConsole(console => console.SingleLine = true);
                })
                .ConfigureWebJobs(jobs =>
                {
                    jobs.AddAzureStorageCoreServices();
                    jobs.AddDurableTask(options => Configure(options, hub));
                })
                .ConfigureServices(services => services.AddSingleton<ITypeLocator>(new OneType(functions)))
                .Build();
        }

        private static void Configure(DurableTaskOptions options, string hub)
        {
            options.HubName = hub;
            options.LocalRpcEndpointEnabled = true; // SDKs of other languages talk to it over HTTP
            options.ExtendedSessionsEnabled = false; // as for every other language
            options.StorageProvider["maxQueuePollingInterval"] = "00:00:00.200";
            string webhook = Environment.GetEnvironmentVariable("DURABLE_WEBHOOK");
            if (webhook != null)
            {
                Hidden.SetWebhook(options, new Uri(webhook));
            }

            string hostJson = Environment.GetEnvironmentVariable("DURABLE_HOST_JSON");
            if (hostJson != null && File.Exists(hostJson))
            {
                JToken told = JObject.Parse(File.ReadAllText(hostJson)).SelectToken("extensions.durableTask");
                if (told != null)
                {
                    JsonConvert.PopulateObject(told.ToString(), options);
                }
            }
        }
    }

    /// <summary>Makes a class with one static method for each function of the app.</summary>
    public static class Declarations
    {
        private static readonly Type[] OneText = { typeof(string) };

        public static Type Read(string path)
        {
            AssemblyName name = new AssemblyName("FunctionsElsewhere");
            TypeBuilder holder = AssemblyBuilder
                .DefineDynamicAssembly(name, AssemblyBuilderAccess.Run)
                .DefineDynamicModule(name.Name)
                .DefineType("Functions", TypeAttributes.Public | TypeAttributes.Class);
            int number = 0;
            foreach (JToken function in JArray.Parse(File.ReadAllText(path)))
            {
                Declare(holder, "Function" + number, (string)function["kind"], (string)function["name"]);
                number++;
            }

            return holder.CreateType();
        }

        // [FunctionName("NAME")]
        // public static Task<object> FunctionN([ActivityTrigger(Activity = "NAME")] string trigger)
        //     => Worker.Run("activity", "NAME", trigger);
        private static void Declare(TypeBuilder holder, string method, string kind, string name)
        {
            MethodBuilder declared = holder.DefineMethod(
                method, MethodAttributes.Public | MethodAttributes.Static, typeof(Task<object>), OneText);
            declared.SetCustomAttribute(new CustomAttributeBuilder(
                typeof(FunctionNameAttribute).GetConstructor(OneText), new object[] { name }));
            declared.DefineParameter(1, ParameterAttributes.None, "trigger")
                .SetCustomAttribute(TriggerOf(kind, name));

            ILGenerator body = declared.GetILGenerator();
            body.Emit(OpCodes.Ldstr, kind);
            body.Emit(OpCodes.Ldstr, name);
            body.Emit(OpCodes.Ldarg_0);
            body.Emit(OpCodes.Call, typeof(Worker).GetMethod(nameof(Worker.Run)));
            body.Emit(OpCodes.Ret);
        }

        private static CustomAttributeBuilder TriggerOf(string kind, string name)
        {
            switch (kind)
            {
                case "orchestrator":
                    return Named(typeof(OrchestrationTriggerAttribute), "Orchestration", name);
                case "activity":
                    return Named(typeof(ActivityTriggerAttribute), "Activity", name);
                case "entity":
                    return Named(typeof(EntityTriggerAttribute), "EntityName", name);
                default:
                    throw new ArgumentException("unknown kind of function: " + kind);
            }
        }

        private static CustomAttributeBuilder Named(Type attribute, string property, string name)
        {
            return new CustomAttributeBuilder(
                attribute.GetConstructor(Type.EmptyTypes),
                new object[0],
                new[] { attribute.GetProperty(property) },
                new object[] { name });
        }
    }

    /// <summary>Where the WebJobs SDK looks for functions.</summary>
    public sealed class OneType : ITypeLocator
    {
        private readonly Type type;

        public OneType(Type type)
        {
            this.type = type;
        }

        public IReadOnlyList<Type> GetTypes()
        {
            return new[] { this.type };
        }
    }

    /// <summary>Has functions run by a process of another language.</summary>
    public static class Worker
    {
        // An answer is not an instant: it is not to become a date because it looks like one.
        private static readonly JsonSerializerSettings AsItStands =
            new JsonSerializerSettings { DateParseHandling = DateParseHandling.None };

        private static readonly HttpClient Client = new HttpClient { Timeout = TimeSpan.FromMinutes(5) };

        public static string Url { get; set; }

        public static async Task<object> Run(string kind, string name, string trigger)
        {
            string target = Url + "/invoke/" + kind + "/" + Uri.EscapeDataString(name);
            using (StringContent body = new StringContent(trigger ?? "null", Encoding.UTF8, "application/json"))
            using (HttpResponseMessage answer = await Client.PostAsync(target, body).ConfigureAwait(false))
            {
                string text = await answer.Content.ReadAsStringAsync().ConfigureAwait(false);
                switch (answer.StatusCode)
                {
                    case HttpStatusCode.OK:
                        return JsonConvert.DeserializeObject(text, AsItStands);
                    case HttpStatusCode.NoContent:
                        return null;
                    case HttpStatusCode.InternalServerError:
                        JObject failure = JObject.Parse(text);
                        throw new FunctionFailed((string)failure["message"], (string)failure["stack"]);
                    default:
                        throw new InvalidOperationException("the worker answered " + answer.StatusCode);
                }
            }
        }
    }

    /// <summary>What a function raised, in the Functions host's words.</summary>
    public sealed class FunctionFailed : Exception
    {
        public FunctionFailed(string message, string stack)
            : base("Result: Failure\nException: " + message + "\nStack: " + stack)
        {
        }
    }

    /// <summary>What the Functions host reaches inside the extension, too, and is not public.</summary>
    internal static class Hidden
    {
        private const BindingFlags Any =
            BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;

        /// <summary>Tell the extension under which address its webhooks are reached.</summary>
        public static void SetWebhook(DurableTaskOptions options, Uri address)
        {
            PropertyInfo provider = typeof(DurableTaskOptions).GetProperty("WebhookUriProviderOverride", Any);
            provider.SetValue(options, (Func<Uri>)(() => address));
        }

        /// <summary>Where it listens for clients: it takes another port if its first choice is taken.</summary>
        public static Uri ListenerOf(IServiceProvider services)
        {
            object extension = services.GetServices<IExtensionConfigProvider>()
                .First(provider => provider.GetType().Name == "DurableTaskExtension");
            object handler = extension.GetType().GetProperty("HttpApiHandler", Any).GetValue(extension);
            object listener = handler.GetType().GetField("localHttpListener", Any).GetValue(handler);
            return (Uri)listener.GetType().GetProperty("InternalRpcUri", Any).GetValue(listener);
        }
    }
}
